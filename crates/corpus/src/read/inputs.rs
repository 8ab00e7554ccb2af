//! Which files are read, in which order, and what each one is by its name.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use grulm_config::Invalid;
use walkdir::{DirEntry, WalkDir};

use crate::Error;
use crate::corpus::{CLEANING, MANIFEST, TOKENIZER};

/// The names that are found in folders and by globs.
const KNOWN: &str = ".txt, .jsonl, .ndjson, .csv, .tsv or .parquet, all but .parquet also with .gz or .zst behind";

/// Extensions of what is certainly not plain text, nor read otherwise.
const REFUSED: [&str; 13] =
    ["bz2", "xz", "lzma", "lz4", "br", "zip", "7z", "rar", "tar", "tgz", "pdf", "docx", "arrow"];

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Plain text: `.txt`, and any other name that is given in full.
    Text,
    /// JSON Lines: `.jsonl`, `.ndjson`.
    JsonLines,
    /// Comma-separated values with a header row: `.csv`.
    Csv,
    /// Tab-separated values with a header row, quoted as CSV is: `.tsv`.
    Tsv,
    /// Apache Parquet: `.parquet`.
    Parquet,
    /// One JSON document, as SQuAD's questions are: `.json`.
    Json,
}

/// How a file is compressed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952), any number of members: `.gz`.
    Gzip,
    /// Zstandard (RFC 8878), any number of frames: `.zst`.
    Zstd,
}

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it is, as the pattern says it.
    pub path: PathBuf,
    /// What it holds.
    pub format: Format,
    /// How it is compressed.
    pub compression: Compression,
}

impl Input {
    /// What `path` is by its name, letter case aside; `None` where the name says nothing.
    fn by_name(path: &Path) -> Option<Self> {
        let (compression, stem) = compression(path);
        let format = match extension(stem)?.as_str() {
            "txt" => Format::Text,
            "jsonl" | "ndjson" => Format::JsonLines,
            "csv" => Format::Csv,
            "tsv" => Format::Tsv,
            "parquet" => Format::Parquet,
            "json" => Format::Json,
            _ => return None,
        };
        Some(Self { path: path.to_owned(), format, compression })
    }

    /// What `path` is where it was named in full: plain text unless the name says otherwise.
    pub(crate) fn named(path: &Path) -> Self {
        Self::by_name(path).unwrap_or_else(|| Self {
            path: path.to_owned(),
            format: Format::Text,
            compression: compression(path).0,
        })
    }
}

fn compression(path: &Path) -> (Compression, &Path) {
    let compression = match extension(path).as_deref() {
        Some("gz") => Compression::Gzip,
        Some("zst") => Compression::Zstd,
        _ => return (Compression::None, path),
    };
    (compression, path.file_stem().map_or(path, Path::new))
}

/// The extension of a name, in lower case, without that of a compression.
pub(crate) fn inner_extension(path: &Path) -> Option<String> {
    extension(compression(path).1)
}

fn extension(path: &Path) -> Option<String> {
    path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase)
}

/// Expands files, folders and globs to the files that are read, in the order in which they are read.
///
/// - The order is that of `patterns`; within a folder or glob, that of the paths' bytes. A file that is named more than
///   once, directly or through links, is read once, at its first place.
/// - A pattern that exists is that file or folder, whatever characters its name holds; any other that holds one of
///   `*?[{` is a glob, in which `**` stands for any number of folders and `*` for no part of a `/`.
/// - A file that is named in full is what its extension says, or else plain text (`wiki.tokens`, `train.en.gz`). In a folder,
///   which is searched with all its subfolders, and by a glob, which matches files only, just known extensions are taken
///   (`.txt`, `.jsonl`, `.ndjson`, `.csv`, `.tsv`, `.parquet`; behind all but the last also `.gz`, `.zst`). There, hidden
///   files and folders are skipped, also the folders of runs, corpora and models that this program wrote, and links are
///   followed that lead somewhere.
///
/// # Errors
///
/// [`Error::Config`] with `key` where a pattern leads to no file or to a file of a kind that is not read (an archive,
/// a compressed Parquet file); [`Error::Io`] where a file or folder cannot be looked at.
pub fn inputs(key: &str, patterns: &[String]) -> Result<Vec<Input>, Error> {
    Search { key, json: false }.all(patterns)
}

/// The same for files of questions, which may be SQuAD's JSON too (`.json`, also with `.gz` or `.zst` behind).
///
/// # Errors
/// As those of [`inputs`].
pub fn question_inputs(key: &str, patterns: &[String]) -> Result<Vec<Input>, Error> {
    Search { key, json: true }.all(patterns)
}

/// A search for files.
struct Search<'a> {
    /// The key that names them, for errors.
    key: &'a str,
    /// Whether JSON documents are read.
    json: bool,
}

impl Search<'_> {
    fn all(&self, patterns: &[String]) -> Result<Vec<Input>, Error> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for pattern in patterns {
            for input in self.expand(pattern)? {
                self.refuse(&input)?;
                // What cannot be resolved (a pipe under /dev/fd, say) is its own identity.
                let identity = input.path.canonicalize().unwrap_or_else(|_| input.path.clone());
                if seen.insert(identity) {
                    found.push(input);
                }
            }
        }
        Ok(found)
    }

    fn expand(&self, pattern: &str) -> Result<Vec<Input>, Error> {
        let path = Path::new(pattern);
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                let files = files_below(path, usize::MAX, |_| true)?;
                self.known(&files).map_err(|seen| self.no_match(pattern, seen))
            }
            Ok(_) => Ok(vec![Input::named(path)]),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                if pattern.contains(['*', '?', '[', '{']) {
                    return self.expand_glob(pattern);
                }
                Err(Invalid::new(self.key, pattern, "files, folders and globs that exist").into())
            }
            Err(error) => Err(Error::io(path)(error)),
        }
    }

    fn expand_glob(&self, pattern: &str) -> Result<Vec<Input>, Error> {
        let (folder, glob) = split_glob(pattern);
        let matcher = matcher(glob).map_err(|error| Invalid::new(self.key, pattern, format!("a glob ({error})")))?;
        if !folder.is_dir() {
            return Err(self.no_match(pattern, 0));
        }
        // Without `**`, nothing deeper than the pattern's own folders can match.
        let depth = if glob.contains("**") { usize::MAX } else { glob.matches('/').count() + 1 };
        let files = files_below(&folder, depth, |below| matcher.is_match(below))?;
        self.known(&files).map_err(|seen| self.no_match(pattern, seen))
    }

    /// The files with a known name, or, where there is none, how many others there are.
    fn known(&self, files: &[PathBuf]) -> Result<Vec<Input>, usize> {
        let inputs = files.iter().filter_map(|path| Input::by_name(path));
        let inputs: Vec<_> = inputs.filter(|input| self.json || input.format != Format::Json).collect();
        if inputs.is_empty() { Err(files.len()) } else { Ok(inputs) }
    }

    fn names(&self) -> String {
        if self.json { format!(".json, {KNOWN}") } else { KNOWN.to_owned() }
    }

    fn no_match(&self, pattern: &str, seen: usize) -> Error {
        let names = self.names();
        let allowed = match seen {
            0 => format!("files, folders and globs that exist and hold files named {names}"),
            _ => format!(
                "files named {names}: none of the {seen} here is (plain text of another name is read when named in full)"
            ),
        };
        Invalid::new(self.key, pattern, allowed).into()
    }

    fn refuse(&self, input: &Input) -> Result<(), Error> {
        let refused = inner_extension(&input.path).is_some_and(|extension| REFUSED.contains(&extension.as_str()))
            || match input.format {
                Format::Json => !self.json,
                Format::Parquet => input.compression != Compression::None,
                _ => false,
            };
        if refused {
            let allowed = format!("files named {}", self.names());
            return Err(Invalid::new(self.key, input.path.display().to_string(), allowed).into());
        }
        Ok(())
    }
}

/// Splits at the last `/` before the first special character: the folder to search, and the glob below it.
fn split_glob(pattern: &str) -> (PathBuf, &str) {
    let special = pattern.find(['*', '?', '[', '{']).unwrap_or(pattern.len());
    match pattern[..special].rfind('/') {
        Some(0) => (PathBuf::from("/"), pattern.trim_start_matches('/')),
        Some(slash) => (PathBuf::from(&pattern[..slash]), &pattern[slash + 1..]),
        None => (PathBuf::from("."), pattern),
    }
}

fn matcher(glob: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(glob).literal_separator(true).build()?.compile_matcher())
}

/// The files below `folder` whose path from there `wanted` accepts, in the order of their bytes.
fn files_below(folder: &Path, depth: usize, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Error> {
    let walk = WalkDir::new(folder).max_depth(depth).follow_links(true);
    let mut files = Vec::new();
    for entry in walk.into_iter().filter_entry(|entry| entry.depth() == 0 || !(hidden(entry) || is_written_here(entry)))
    {
        let entry = match entry {
            Err(error) if error.depth() > 0 && error.path().is_some_and(leads_nowhere) => continue,
            entry => entry.map_err(|error| walk_error(folder, error))?,
        };
        let below = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        if entry.file_type().is_file() && wanted(below) {
            // Searching "." yields "./name": say it as the pattern does.
            files.push(if folder == Path::new(".") { below.to_owned() } else { entry.path().to_owned() });
        }
    }
    files.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(files)
}

fn hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// Whether an entry is a folder of a run, a corpus or a model, finished or not: what lies there came from the text, and must not join it.
fn is_written_here(entry: &DirEntry) -> bool {
    let holds = |name: &str| entry.path().join(name).is_file();
    entry.file_type().is_dir()
        && (holds("run.lock") || (holds(TOKENIZER) && [MANIFEST, CLEANING].into_iter().any(holds)))
}

/// Whether a path is a link whose target is not there.
fn leads_nowhere(path: &Path) -> bool {
    path.is_symlink() && path.metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn walk_error(folder: &Path, error: walkdir::Error) -> Error {
    let path = error.path().unwrap_or(folder).to_owned();
    Error::io(path)(error.into())
}
