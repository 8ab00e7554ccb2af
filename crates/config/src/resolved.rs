//! The resolved config, every default filled in: as text, and what differs between two of them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Error;
use crate::document::{Node, Step, Value, dotted};

/// A key whose value differs between two configs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The dotted key.
    pub key: String,
    /// Its value in the first config, as TOML, or `unset`.
    pub left: String,
    /// Its value in the second config, as TOML, or `unset`.
    pub right: String,
}

/// The resolved config as TOML: every key, defaults too; only what is `None` is left out.
///
/// # Errors
/// [`Error::Serialize`] where [`parse`](crate::parse) could not read the text back: a path that is not UTF-8, a number
/// that is not finite.
pub fn to_toml<T: Serialize>(config: &T) -> Result<String, Error> {
    resolve(config).map(|(text, _)| text)
}

/// The keys whose values differ, in alphabetical order. Arrays are compared as a whole.
///
/// # Errors
/// As [`to_toml`].
pub fn differences<T: Serialize>(a: &T, b: &T) -> Result<Vec<Difference>, Error> {
    let (left, right) = (leaves(a)?, leaves(b)?);
    let keys: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let value = |leaves: &BTreeMap<String, String>, key| leaves.get(key).cloned().unwrap_or_else(|| "unset".into());
    let pairs =
        keys.into_iter().map(|key| Difference { key: key.clone(), left: value(&left, key), right: value(&right, key) });
    Ok(pairs.filter(|pair| pair.left != pair.right).collect())
}

fn resolve<T: Serialize>(config: &T) -> Result<(String, Node), Error> {
    let text = toml::to_string(config).map_err(|error| Error::Serialize(error.to_string()))?;
    let node = Node::parse_document(&text).map_err(|refused| Error::Serialize(refused.reason))?;
    match unusable(&node, &mut Vec::new()) {
        Some(reason) => Err(Error::Serialize(reason)),
        None => Ok((text, node)),
    }
}

fn unusable(node: &Node, path: &mut Vec<Step>) -> Option<String> {
    if let Value::Unusable(text) = &node.value {
        return Some(format!("`{}` = {text}: allowed: a finite number", dotted(path)));
    }
    node.children().into_iter().find_map(|(step, child)| {
        path.push(step);
        let found = unusable(child, path);
        path.pop();
        found
    })
}

fn leaves<T: Serialize>(config: &T) -> Result<BTreeMap<String, String>, Error> {
    let mut leaves = BTreeMap::new();
    collect_leaves(&resolve(config)?.1, &mut Vec::new(), &mut leaves);
    Ok(leaves)
}

fn collect_leaves(node: &Node, path: &mut Vec<Step>, leaves: &mut BTreeMap<String, String>) {
    if !node.value.is_table() {
        leaves.insert(dotted(path), node.value.to_line());
        return;
    }
    for (step, child) in node.children() {
        path.push(step);
        collect_leaves(child, path, leaves);
        path.pop();
    }
}
