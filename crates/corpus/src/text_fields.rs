//! Which fields of a record hold text.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, value},
};

/// The fields (JSON Lines) or columns (CSV, TSV, Parquet) that hold text. Of several, each that a record has is a document of its
/// own: both sides of a translation, say.
///
/// In a config or in `cleaning.json`: a string, or a list of strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFields(Vec<String>);

impl TextFields {
    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is one at least, and each has a name of its own.
    pub(crate) fn are_named(&self) -> bool {
        let again = |(place, name): (usize, &String)| self.0[..place].contains(name);
        !self.0.is_empty() && !self.0.iter().enumerate().any(|named| named.1.is_empty() || again(named))
    }

    /// Those that `is_there` says are there; the first where none is, so that an error names it.
    pub(crate) fn present(&self, is_there: impl Fn(&str) -> bool) -> Vec<&str> {
        let present: Vec<_> = self.names().filter(|name| is_there(name)).collect();
        if present.is_empty() { self.names().take(1).collect() } else { present }
    }
}

/// As errors name them: `` `source` or `target` ``.
impl fmt::Display for TextFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().map(|name| format!("`{name}`")).collect();
        f.write_str(&names.join(" or "))
    }
}

impl From<&str> for TextFields {
    fn from(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }
}

impl From<&TextFields> for TextFields {
    fn from(fields: &TextFields) -> Self {
        fields.clone()
    }
}

impl<const N: usize> From<[&str; N]> for TextFields {
    fn from(names: [&str; N]) -> Self {
        Self(names.map(str::to_owned).to_vec())
    }
}

impl Serialize for TextFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [name] => serializer.serialize_str(name),
            names => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TextFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = TextFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field or column, or a list of names")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<TextFields, E> {
                Ok(name.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<TextFields, A::Error> {
                Deserialize::deserialize(value::SeqAccessDeserializer::new(names)).map(TextFields)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
