//! A serde deserializer over a document whose errors stay structured and know the path to the value.

use std::fmt;
use std::slice;
use std::vec;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::document::{Node, Step, Value};

/// Deserializes a document.
pub(crate) fn from_node<'de, T: Deserialize<'de>>(node: &'de Node) -> Result<T, Fault> {
    T::deserialize(Reader(node)).map_err(|mut fault| {
        fault.path.reverse();
        fault
    })
}

/// What a type refused, and where.
#[derive(Debug)]
pub(crate) struct Fault {
    /// From the root inwards; inside of this module, while the stack unwinds, from the inside out.
    pub(crate) path: Vec<Step>,
    pub(crate) kind: FaultKind,
}

#[derive(Debug)]
pub(crate) enum FaultKind {
    UnknownKey {
        allowed: &'static [&'static str],
    },
    MissingKey,
    UnknownVariant {
        found: String,
        allowed: &'static [&'static str],
    },
    /// A wrong type or a value that the type cannot hold. `expected` is serde's name of the type.
    Type {
        found: Option<String>,
        expected: String,
    },
    /// The words of a type's own parser.
    Other(String),
}

impl Fault {
    fn new(kind: FaultKind) -> Self {
        Self { path: Vec::new(), kind }
    }

    fn inside(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(FaultKind::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(FaultKind::Type { found: scalar(found), expected: expected.to_string() })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::new(FaultKind::Type { found: None, expected: expected.to_string() })
    }

    fn unknown_variant(found: &str, allowed: &'static [&'static str]) -> Self {
        Self::new(FaultKind::UnknownVariant { found: format!("{found:?}"), allowed })
    }

    fn unknown_field(field: &str, allowed: &'static [&'static str]) -> Self {
        Self::new(FaultKind::UnknownKey { allowed }).inside(Step::Key(field.to_owned()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(FaultKind::MissingKey).inside(Step::Key(field.to_owned()))
    }
}

/// A scalar as [`Value::excerpt`] writes it.
fn scalar(found: Unexpected<'_>) -> Option<String> {
    let value = match found {
        Unexpected::Bool(value) => Value::Boolean(value),
        Unexpected::Unsigned(value) => Value::Integer(value.into()),
        Unexpected::Signed(value) => Value::Integer(value.into()),
        Unexpected::Float(value) => Value::Float(value),
        Unexpected::Str(value) => Value::String(value.to_owned()),
        _ => return None,
    };
    Some(value.excerpt())
}

#[derive(Clone, Copy)]
struct Reader<'de>(&'de Node);

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Integer(integer) => match (i64::try_from(*integer), u64::try_from(*integer)) {
                (Ok(integer), _) => visitor.visit_i64(integer),
                (_, Ok(integer)) => visitor.visit_u64(integer),
                _ => visitor.visit_i128(*integer),
            },
            Value::Float(float) => visitor.visit_f64(*float),
            Value::Boolean(boolean) => visitor.visit_bool(*boolean),
            Value::Array(nodes) => visitor.visit_seq(Elements(nodes.iter().enumerate())),
            Value::Table(_) => visitor.visit_map(Entries { entries: self.0.children().into_iter(), value: None }),
            Value::Unusable(_) => {
                Err(Fault::new(FaultKind::Type { found: None, expected: (&visitor as &dyn Expected).to_string() }))
            }
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.value {
            // A plain cast would make it infinite.
            Value::Float(float) if float.abs() > f64::from(f32::MAX) => {
                Err(de::Error::invalid_value(Unexpected::Float(float), &visitor))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0.value {
            // Serde would take the elements as the fields in their order.
            Value::Array(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::String(text) => {
                let text: StrDeserializer<'_, Fault> = text.as_str().into_deserializer();
                visitor.visit_enum(text)
            }
            Value::Table(table) if table.len() == 1 => match table.iter().next() {
                Some((name, node)) => visitor.visit_enum(Variant { name, node }),
                None => self.deserialize_any(visitor),
            },
            value => Err(Fault::new(FaultKind::UnknownVariant { found: value.excerpt(), allowed: variants })),
        }
    }

    forward_to_deserialize_any! {
        bool u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

struct Elements<'de>(std::iter::Enumerate<slice::Iter<'de, Node>>);

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((index, node)) = self.0.next() else { return Ok(None) };
        seed.deserialize(Reader(node)).map(Some).map_err(|fault| fault.inside(Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'de> {
    entries: vec::IntoIter<(Step, &'de Node)>,
    value: Option<(Step, &'de Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((step, node)) = self.entries.next() else { return Ok(None) };
        let Step::Key(name) = &step else { return Ok(None) };
        let key: StrDeserializer<'_, Fault> = name.as_str().into_deserializer();
        let key = seed.deserialize(key).map_err(|fault| match fault.kind {
            // It names the key itself.
            FaultKind::UnknownKey { .. } => fault,
            _ => fault.inside(step.clone()),
        })?;
        self.value = Some((step, node));
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((step, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Reader(node)).map_err(|fault| fault.inside(step))
    }
}

/// An enum variant with content: a table whose one key is the variant's name.
struct Variant<'de> {
    name: &'de str,
    node: &'de Node,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let name: StrDeserializer<'_, Fault> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> Variant<'de> {
    fn locate(&self) -> impl FnOnce(Fault) -> Fault + use<> {
        let step = Step::Key(self.name.to_owned());
        move |fault| fault.inside(step)
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match &self.node.value {
            Value::Table(table) if table.is_empty() => Ok(()),
            value => {
                let fault = FaultKind::Type { found: Some(value.excerpt()), expected: "an empty table".into() };
                Err(self.locate()(Fault::new(fault)))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(Reader(self.node)).map_err(self.locate())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_any(Reader(self.node), visitor).map_err(self.locate())
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_struct(Reader(self.node), "", fields, visitor).map_err(self.locate())
    }
}
