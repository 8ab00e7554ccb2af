//! `--set key=value` on top of a document.

use std::collections::BTreeMap;
use std::path::Path;

use toml_edit::Key;

use crate::document::{Node, Origin, Step, Value, dotted, excerpt};
use crate::{Error, Invalid, Place};

/// Sets one key of `root`; tables on the way are made. `position` is that of `set` in the list.
pub(crate) fn apply(root: &mut Node, position: usize, set: &str, path: &Path) -> Result<(), Error> {
    let refuse = |found: String, allowed: &str| Error::Set { set: excerpt(set), found, allowed: allowed.into() };
    let Some((key, value)) = set.split_once('=') else {
        return Err(refuse("no `=`".into(), "key=value, such as train.steps=1000"));
    };
    let keys = Key::parse(key.trim())
        .map_err(|error| refuse(one_line(error.message()), "a dotted key before `=`, such as train.steps"))?;
    let origin = Origin::Set(position);
    let value = read_value(value.trim(), origin)
        .map_err(|reason| refuse(reason, "a TOML value, or text that does not start with a quote or bracket"))?;
    let keys: Vec<_> = keys.iter().map(|key| key.get().to_owned()).collect();
    insert(root, &keys, value).map_err(|(at, found)| Error::Invalid {
        place: Box::new(Place::Set { path: path.to_owned(), set: excerpt(set) }),
        invalid: Invalid { key: at, found, allowed: format!("a table, for `{}` to be set", excerpt(key.trim())) },
        suggestion: None,
    })
}

/// What is not TOML is text (`train.budget=60m`), but for a string, array or table that is not closed. A date is text.
fn read_value(text: &str, origin: Origin) -> Result<Node, String> {
    let string = || Node { origin, value: Value::String(text.to_owned()) };
    match Node::parse_value(text, origin) {
        Ok(Node { value: Value::Unusable(_), .. }) if looks_like_date(text) => Ok(string()),
        Ok(node) => Ok(node),
        Err(refused) if text.starts_with(['"', '\'', '[', '{']) => Err(one_line(&refused.reason)),
        Err(_) => Ok(string()),
    }
}

fn looks_like_date(text: &str) -> bool {
    text.parse::<toml::value::Datetime>().is_ok()
}

/// Puts `value` where `keys` lead. On failure: the key that is not a table, and its value.
fn insert(root: &mut Node, keys: &[String], value: Node) -> Result<(), (String, String)> {
    let mut node = root;
    for (depth, key) in keys.iter().enumerate() {
        let table = match &mut node.value {
            Value::Table(table) => table,
            other => {
                let at: Vec<_> = keys[..depth].iter().cloned().map(Step::Key).collect();
                return Err((dotted(&at), other.excerpt()));
            }
        };
        if depth + 1 == keys.len() {
            table.insert(key.clone(), value);
            return Ok(());
        }
        node = table
            .entry(key.clone())
            .or_insert_with(|| Node { origin: value.origin, value: Value::Table(BTreeMap::new()) });
    }
    Ok(())
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
