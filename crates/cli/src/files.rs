//! Small files, read and written whole.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::Context as _;
use serde::{Serialize, de::DeserializeOwned};

/// Reads a JSON file.
///
/// # Errors
/// With the path: it cannot be read, or holds something else.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// Writes a file of JSON Lines: an object a line.
///
/// # Errors
/// As [`write()`], and where a line cannot be turned into JSON.
pub fn write_json_lines(path: &Path, lines: &[impl Serialize]) -> anyhow::Result<()> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    write(path, &text)
}

/// Writes a file under a temporary name, syncs and renames it.
///
/// # Errors
/// With the path, where it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_with(path, |file| file.write_all(bytes).with_context(|| path.display().to_string()))
}

/// Writes a file that comes bit by bit, under a temporary name: whole or not at all.
///
/// # Errors
/// With the path, where it cannot be written; what `content` gives.
pub fn write_with<T>(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let io_error = |error| anyhow::Error::from(error).context(path.display().to_string());
    grulm_durable::write_with(path, io_error, content)
}
