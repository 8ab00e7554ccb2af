mod pairs;
mod questions;
mod real_data;
mod rows;

use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A file of the public data, where it is there.
fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data").join(name);
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
        return None;
    }
    Some(path)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzEncoder::new(content, flate2::Compression::fast()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Checks that reading failed with a message that has all of `parts` in it.
#[track_caller]
fn check_error<T: std::fmt::Debug>(result: Result<T, crate::Error>, parts: &[&str]) {
    let message = result.expect_err("an error").to_string();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}
