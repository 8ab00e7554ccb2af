//! Files that are on disk whole or not at all.
//!
//! A file is written under a temporary name beside its own, synced, and renamed: whoever reads it finds the old content or the
//! new one, and nothing in between, after a loss of power too.
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("best");
//! grulm_durable::write(&path, b"step-0000100\n")?;
//! grulm_durable::write(&path, b"step-0000200\n")?;
//! assert_eq!(std::fs::read_to_string(&path)?, "step-0000200\n");
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod digest;

use std::{
    fs::{self, File},
    io::{self, BufWriter, IntoInnerError, Write},
    path::{Path, PathBuf},
};

/// Ends the name of what is not complete yet.
pub const PART: &str = ".part";

/// `path` with `suffix` behind its name.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Replaces a file.
///
/// # Errors
/// When it cannot be written; it is as it was then.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    write_with(path, |error| error, |file| file.write_all(content))
}

/// Replaces a file by what `content` writes, bit by bit. `io_error` says what it means that the file cannot be written.
///
/// # Errors
/// When the file cannot be written, or `content` fails; it is as it was then.
pub fn write_with<T, E>(
    path: &Path,
    io_error: impl Fn(io::Error) -> E,
    content: impl FnOnce(&mut BufWriter<File>) -> Result<T, E>,
) -> Result<T, E> {
    let part = with_suffix(path, PART);
    let file = File::create(&part).map_err(&io_error)?;
    fill(file, &part, path, io_error, content)
}

/// As [`write_with`], under the temporary name `part`, of which `file` was created.
///
/// # Errors
/// As those of [`write_with`]; `part` is removed then.
pub fn fill<T, E>(
    file: File,
    part: &Path,
    path: &Path,
    io_error: impl Fn(io::Error) -> E,
    content: impl FnOnce(&mut BufWriter<File>) -> Result<T, E>,
) -> Result<T, E> {
    let mut file = BufWriter::new(file);
    let written = content(&mut file).and_then(|written| {
        let flushed = file.into_inner().map_err(IntoInnerError::into_error);
        flushed.and_then(|_| commit(part, path)).map_err(&io_error)?;
        Ok(written)
    });
    if written.is_err() {
        // What was written so far is of no use; that it cannot be removed would hide the error.
        let _ = fs::remove_file(part);
    }
    written
}

/// Gives a complete file its name.
///
/// # Errors
/// When it cannot be synced or renamed.
pub fn commit(part: &Path, path: &Path) -> io::Result<()> {
    File::open(part)?.sync_all()?;
    fs::rename(part, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes the names in a folder durable, where the system can.
///
/// # Errors
/// When the folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    // Only Unix opens folders as files; elsewhere the file system orders renames itself.
    if cfg!(unix) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_fails_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"old").unwrap();
        let failed = write_with(
            &path,
            |error| error.to_string(),
            |file| {
                file.write_all(b"half").unwrap();
                Err::<(), _>("no more".to_owned())
            },
        );
        assert_eq!(failed.unwrap_err(), "no more");
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), names(folder.path())),
            ("old", vec!["a.json".to_owned()])
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(write(&folder.path().join("b/c"), b"").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(sync_folder(&folder.path().join("b")).is_err() || cfg!(not(unix)));
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn suffixes_stand_behind_extensions() {
        assert_eq!(with_suffix(Path::new("a/b.json"), PART), Path::new("a/b.json.part"));
    }
}
