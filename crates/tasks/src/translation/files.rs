//! Where sentences and their translations lie.

use std::{fmt, path::Path, slice};

use grulm_config::Invalid;
use grulm_corpus::{
    Encoding, Error, Input, inputs,
    labelled::{Pair, PairFields, Pairs, open_pairs, open_parallel},
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, value},
    ser::SerializeStruct as _,
};

/// Files of pairs. In a config: a list of files (.jsonl .csv .tsv) whose rows hold both sides, or a table with two lists, `source`
/// and `target`, of plain text files in which line n of the one translates line n of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairFiles {
    /// Rows with both sides: files, folders, globs.
    Rows(Vec<String>),
    /// Lines beside lines.
    Parallel(Parallel),
}

/// Lists of plain text files, the first of one beside the first of the other, and so on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parallel {
    /// What is translated.
    pub source: Vec<String>,
    /// The translations.
    pub target: Vec<String>,
}

impl Default for PairFiles {
    fn default() -> Self {
        Self::Rows(Vec::new())
    }
}

impl PairFiles {
    /// Whether no file is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Rows(files) => files.is_empty(),
            Self::Parallel(Parallel { source, target }) => source.is_empty() && target.is_empty(),
        }
    }

    /// All names, those of either side.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let (files, others): (&[String], &[String]) = match self {
            Self::Rows(files) => (files, &[]),
            Self::Parallel(Parallel { source, target }) => (source, target),
        };
        files.iter().chain(others)
    }

    /// Checks that there are files of either side; `key` is the setting.
    pub(crate) fn check_sides(&self, key: &str) -> Result<(), Invalid> {
        let Self::Parallel(Parallel { source, target }) = self else { return Ok(()) };
        [("source", source, target), ("target", target, source)].into_iter().try_for_each(|(side, own, other)| {
            let allowed = "a list of plain text files, as the other side has";
            Invalid::check(format!("{key}.{side}"), own, !own.is_empty() || other.is_empty(), allowed)
        })
    }

    /// Calls `each` with every pair and the file that its source stands in, file by file. `keys` are what errors call the settings
    /// that name the files of either side.
    ///
    /// # Errors
    /// A file cannot be found or read, has a row that does not fit, or has another number of lines than the one beside it; what
    /// `each` gives.
    pub fn for_each<E: From<Error> + From<Invalid>>(
        &self,
        keys: [&str; 2],
        fields: &PairFields,
        encoding: Encoding,
        mut each: impl FnMut(&Path, Pair) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut read = |path: &Path, pairs: Result<Pairs, Error>| {
            for pair in pairs? {
                each(path, pair?)?;
            }
            Ok(())
        };
        match self {
            Self::Rows(files) => {
                let files = inputs(keys[0], files)?;
                files.iter().try_for_each(|file| read(&file.path, open_pairs(&file.path, fields, encoding)))
            }
            Self::Parallel(Parallel { source, target }) => {
                let (sources, targets) = (in_order(keys[0], source)?, in_order(keys[1], target)?);
                let allowed = format!("as many files as there are sources: {}", sources.len());
                Invalid::check(keys[1], target, sources.len() == targets.len(), allowed)?;
                let mut beside = sources.iter().zip(&targets);
                beside.try_for_each(|(source, target)| {
                    read(&source.path, open_parallel(&source.path, &target.path, encoding))
                })
            }
        }
    }
}

/// The files that each pattern leads to, in its place: one that is named twice stands beside two others.
fn in_order(key: &str, patterns: &[String]) -> Result<Vec<Input>, Error> {
    let each = patterns.iter().map(|pattern| inputs(key, slice::from_ref(pattern)));
    Ok(each.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

impl fmt::Display for PairFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(files) => f.write_str(&files.join(" ")),
            Self::Parallel(Parallel { source, target }) => write!(f, "{} {}", source.join(" "), target.join(" ")),
        }
    }
}

impl Serialize for PairFiles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Rows(files) => files.serialize(serializer),
            Self::Parallel(Parallel { source, target }) => {
                let mut table = serializer.serialize_struct("PairFiles", 2)?;
                table.serialize_field("source", source)?;
                table.serialize_field("target", target)?;
                table.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for PairFiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = PairFiles;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a list of files whose rows hold both sides, or a table of two lists, `source` and `target`",
                )
            }

            fn visit_seq<A: SeqAccess<'de>>(self, files: A) -> Result<PairFiles, A::Error> {
                Deserialize::deserialize(value::SeqAccessDeserializer::new(files)).map(PairFiles::Rows)
            }

            fn visit_map<A: MapAccess<'de>>(self, lists: A) -> Result<PairFiles, A::Error> {
                Deserialize::deserialize(value::MapAccessDeserializer::new(lists)).map(PairFiles::Parallel)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
