//! `manifest.json`: what a corpus folder holds and how it came about. It is written last, so a folder with a manifest is complete.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::shard::ShardInfo;
use crate::{CorpusConfig, Error, Split, TokenizerConfig};

/// The version of the corpus folder's format.
pub(crate) const VERSION: u32 = 1;

/// What a corpus folder holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the folder's format.
    pub version: u32,
    /// Hash of `tokenizer.json`, which made the tokens.
    pub tokenizer_sha256: String,
    /// Number of entries of the tokenizer: every token id is below it.
    pub vocab_size: usize,
    /// Hash of `cleaning.json`, which tells how the text was cleaned.
    pub cleaning_sha256: String,
    /// Hash of the inputs' content and the config: where it is the same, there is nothing to prepare.
    pub fingerprint: String,
    /// What each split holds. A split without documents is absent.
    pub splits: BTreeMap<Split, SplitInfo>,
    /// Documents that were read, those dropped later included.
    pub documents_read: u64,
    /// Documents that each filter rule dropped, and those that cleaning left empty.
    pub dropped: BTreeMap<String, u64>,
    /// Lines that filter rules removed from documents that stayed.
    pub removed_lines: u64,
    /// Documents that duplicate removal dropped.
    pub duplicates: Duplicates,
    /// Undecodable characters that U+FFFD stands for.
    pub replaced_characters: u64,
    /// The settings that made the corpus.
    pub config: Settings,
}

/// One split of a corpus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitInfo {
    /// Number of documents.
    pub documents: u64,
    /// Number of words between white space.
    pub words: u64,
    /// Number of tokens, one `<eos>` a document included.
    pub tokens: u64,
    /// UTF-8 bytes of the cleaned text, and one a document for its end: what "bits per byte" divides by.
    pub bytes: u64,
    /// The token files, in order.
    pub shards: Vec<ShardInfo>,
}

/// Documents that duplicate removal dropped, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicates {
    /// The text stood earlier.
    pub exact: u64,
    /// A near-duplicate stood earlier.
    pub near: u64,
    /// The text, or a near-duplicate of it, stands in valid or test.
    pub held_out: u64,
}

/// The settings that made a corpus.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `[corpus]`.
    pub corpus: CorpusConfig,
    /// `[tokenizer]`.
    pub tokenizer: TokenizerConfig,
}

impl Manifest {
    /// What was lost on the way from the files to the tokens: documents that rules dropped, the most first, then duplicates, lines
    /// and characters. What is zero is left out.
    #[must_use]
    pub fn losses(&self) -> Vec<(String, u64)> {
        let mut dropped: Vec<(&String, &u64)> = self.dropped.iter().collect();
        dropped.sort_by_key(|&(rule, &count)| (Reverse(count), rule));
        let dropped = dropped.into_iter().map(|(rule, &count)| (format!("dropped by {rule}"), count));
        let others = [
            ("exact duplicates removed", self.duplicates.exact),
            ("near-duplicates removed", self.duplicates.near),
            ("removed from train, since in valid or test", self.duplicates.held_out),
            ("lines removed from documents", self.removed_lines),
            ("undecodable characters replaced", self.replaced_characters),
        ];
        dropped.chain(others.map(|(what, count)| (what.to_owned(), count))).filter(|&(_, count)| count > 0).collect()
    }

    /// Reads `manifest.json`.
    ///
    /// # Errors
    /// The file cannot be read, is no manifest, is of another version, or contradicts itself.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let fault = |found: String, expected: &str| Error::Format {
            path: path.to_owned(),
            position: None,
            found,
            expected: expected.to_owned(),
        };
        // The version comes first: a manifest of another version may lack any other field.
        let version: Version =
            serde_json::from_str(&text).map_err(|error| fault(error.to_string(), "a corpus manifest"))?;
        if version.version != VERSION {
            let found = format!("corpus format version {}", version.version);
            return Err(fault(found, &format!("version {VERSION}; prepare the corpus again")));
        }
        let manifest: Self =
            serde_json::from_str(&text).map_err(|error| fault(error.to_string(), "a corpus manifest"))?;
        match manifest.contradiction() {
            None => Ok(manifest),
            Some((found, expected)) => Err(fault(found, &expected)),
        }
    }

    /// Writes `manifest.json`; the file is synced.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| Error::io(path)(error.into()))?;
        crate::folder::write_synced(path, &json)
    }

    fn contradiction(&self) -> Option<(String, String)> {
        for (split, info) in &self.splits {
            let sum = info.shards.iter().try_fold(0_u64, |sum, shard| sum.checked_add(shard.tokens));
            if sum != Some(info.tokens) {
                let sum = sum.map_or_else(|| "too many".into(), |sum| sum.to_string());
                return Some((
                    format!("{} tokens in {}", info.tokens, split.name()),
                    format!("{sum}, as its shards have"),
                ));
            }
            // A path would lead out of the folder.
            if let Some(shard) =
                info.shards.iter().find(|shard| Path::new(&shard.path).file_name() != Some(shard.path.as_ref()))
            {
                return Some((format!("the shard {:?}", shard.path), "a file name".into()));
            }
        }
        None
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(edit: impl Fn(&mut serde_json::Value), says: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        let mut json = serde_json::to_value(example()).unwrap();
        edit(&mut json);
        std::fs::write(&path, json.to_string()).unwrap();
        let message = Manifest::open(&path).unwrap_err().to_string();
        assert!(message.contains("manifest.json: ") && message.contains(says), "{message:?} lacks {says:?}");
    }

    fn example() -> Manifest {
        let shard = ShardInfo { path: "train-00000.bin".into(), tokens: 7, sha256: "00".into() };
        let train = SplitInfo { documents: 1, words: 6, tokens: 7, bytes: 30, shards: vec![shard] };
        Manifest {
            version: VERSION,
            tokenizer_sha256: "a".into(),
            vocab_size: 300,
            cleaning_sha256: "b".into(),
            fingerprint: "c".into(),
            splits: BTreeMap::from([(Split::Train, train)]),
            documents_read: 3,
            dropped: BTreeMap::from([("min_words".into(), 2)]),
            removed_lines: 0,
            duplicates: Duplicates::default(),
            replaced_characters: 0,
            config: Settings::default(),
        }
    }

    #[test]
    fn a_manifest_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        example().save(&path).unwrap();
        assert_eq!(Manifest::open(&path).unwrap(), example());
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        check_refused(|json| *json = 7.into(), "expected a corpus manifest");
        check_refused(|json| json["version"] = 2.into(), "corpus format version 2; expected version 1");
        check_refused(|json| json["vocab_size"] = "many".into(), "expected a corpus manifest");
        check_refused(|json| json["splits"]["train"]["tokens"] = 8.into(), "8 tokens in train; expected 7");
        check_refused(
            |json| json["splits"]["train"]["shards"][0]["tokens"] = u64::MAX.into(),
            "expected 18446744073709551615",
        );
        check_refused(|json| json["splits"]["train"]["shards"][0]["path"] = "../x.bin".into(), "expected a file name");
    }
}
