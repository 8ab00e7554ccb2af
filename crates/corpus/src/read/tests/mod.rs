mod encodings;
mod formats;
mod names;
mod parquet_files;
mod real_data;
mod text;

use std::fs;
use std::io::Write;
use std::path::Path;

use super::*;

fn options(unit: Unit, encoding: &str) -> ReadOptions {
    ReadOptions { unit, text_field: "text".into(), encoding: Encoding::parse("corpus.encoding", encoding).unwrap() }
}

/// Writes a file, compressed as its name says, and returns it as an input.
fn file(folder: &Path, name: &str, content: &[u8]) -> Input {
    let path = folder.join(name);
    let compressed = match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("gz") => gzip(content),
        Some("zst") => zstd::encode_all(content, 3).unwrap(),
        _ => content.to_vec(),
    };
    fs::write(&path, compressed).unwrap();
    only_input(&path)
}

fn only_input(path: &Path) -> Input {
    let mut found = inputs("corpus.train", &[path.display().to_string()]).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn read(input: &Input, options: &ReadOptions) -> Result<Vec<(u64, String)>, Error> {
    documents(input, options)?.map(|document| document.map(|document| (document.position, document.text))).collect()
}

/// Reads content of a name with default options.
fn read_content(name: &str, content: &[u8]) -> Result<Vec<(u64, String)>, Error> {
    let folder = tempfile::tempdir().unwrap();
    read(&file(folder.path(), name, content), &options(Unit::Line, "utf-8"))
}

fn owned(documents: &[(u64, &str)]) -> Vec<(u64, String)> {
    documents.iter().map(|&(position, text)| (position, text.to_owned())).collect()
}

/// Checks that reading fails with a message that has all of `parts` in it.
#[track_caller]
fn check_error(result: Result<Vec<(u64, String)>, Error>, parts: &[&str]) {
    let message = result.expect_err("an error").to_string();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}
