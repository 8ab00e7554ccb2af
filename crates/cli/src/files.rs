//! Small files, read and written whole, and files of results.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufWriter, ErrorKind, Write as _},
    path::{Path, PathBuf},
    process,
};

use anyhow::Context as _;
use grulm_durable::PART;
use serde::{Serialize, de::DeserializeOwned};

use crate::exit::Usage;

/// Reads a JSON file.
///
/// # Errors
/// With the path: it cannot be read, or holds something else.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// Writes a file of a run folder under a temporary name that such a folder may hold, syncs and renames it.
///
/// # Errors
/// With the path, where it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    grulm_durable::write(path, bytes).with_context(|| path.display().to_string())
}

/// Writes results as JSON Lines: an object a line.
///
/// # Errors
/// As [`write_with`], and where a line cannot be turned into JSON.
pub fn write_json_lines(path: &Path, lines: &[impl Serialize]) -> anyhow::Result<()> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    write_with(path, |file| file.write_all(&text).with_context(|| path.display().to_string()))
}

/// Writes results that come bit by bit, wherever the user wants them: a file is there whole or not at all, and keeps its
/// permissions; a pipe or device gets them as they come; behind a link it is its target that is written.
///
/// # Errors
/// With the path, where it cannot be written; what `content` gives.
pub fn write_with<T>(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let io_error = |error| anyhow::Error::from(error).context(path.display().to_string());
    match Place::of(path).map_err(io_error)? {
        Place::Stream => {
            let mut file = BufWriter::new(OpenOptions::new().write(true).open(path).map_err(io_error)?);
            let written = content(&mut file)?;
            file.flush().map_err(io_error)?;
            Ok(written)
        }
        Place::File(target) => {
            let (file, part) = target.create_part().map_err(io_error)?;
            grulm_durable::fill(file, &part, &target.path, io_error, content)
        }
    }
}

/// Checks, before long work, that `path`, which `option` names, can be written and is none of `inputs`.
///
/// # Errors
/// Which it is, with the path.
pub fn check_results<'a>(option: &str, path: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<()> {
    let io_error = |error| anyhow::Error::from(error).context(path.display().to_string());
    let Place::File(target) = Place::of(path).map_err(io_error)? else { return Ok(()) };
    if let Some(input) = inputs.into_iter().find(|input| is_same(input, &target.path)) {
        let reason = format!("{option} {}: would replace {}, which is read", path.display(), input.display());
        return Err(Usage(format!("{reason}; allowed: another file")).into());
    }
    let (_, part) = target.create_part().map_err(io_error)?;
    fs::remove_file(part).map_err(io_error)
}

fn is_same(input: &Path, target: &Path) -> bool {
    matches!((input.canonicalize(), target.canonicalize()), (Ok(input), Ok(target)) if input == target)
}

/// What a path of results leads to.
enum Place {
    /// What can only be written to: a device, a pipe.
    Stream,
    /// A file that is replaced, or not there yet.
    File(Target),
}

struct Target {
    /// Behind links.
    path: PathBuf,
    /// Those of the file that is there.
    permissions: Option<Permissions>,
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_file() => {
                Ok(Self::File(Target { path: path.canonicalize()?, permissions: Some(found.permissions()) }))
            }
            Ok(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
            Ok(_) => Ok(Self::Stream),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A link to what is not there yet.
                let target = fs::read_link(path).map(|target| path.with_file_name(target));
                Ok(Self::File(Target { path: target.unwrap_or_else(|_| path.to_owned()), permissions: None }))
            }
            Err(error) => Err(error),
        }
    }
}

impl Target {
    /// Creates a file beside the target, under a name that nobody has, with the permissions that the target shall have.
    fn create_part(&self) -> io::Result<(File, PathBuf)> {
        let mut number = 0;
        let (file, part) = loop {
            let mut name = std::ffi::OsString::from(".");
            name.push(self.path.file_name().ok_or(ErrorKind::InvalidFilename)?);
            name.push(format!(".{}-{number}{PART}", process::id()));
            let part = self.path.with_file_name(name);
            match File::create_new(&part) {
                // A process of the same number that was killed has left it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                created => break (created?, part),
            }
        };
        if let Some(permissions) = &self.permissions
            && let Err(error) = fs::set_permissions(&part, permissions.clone())
        {
            let _ = fs::remove_file(&part);
            return Err(error);
        }
        Ok((file, part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, text: &str) -> anyhow::Result<()> {
        write_with(path, |file| Ok(file.write_all(text.as_bytes())?))
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn other_files_of_the_user_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(folder.path().join("out.part"), "mine").unwrap();
        for text in ["first", "second"] {
            put(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        write_with(&path, |_| Err::<(), _>(anyhow::anyhow!("no more"))).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(names(folder.path()), ["out", "out.part"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("below")).unwrap();
        fs::write(at("below/old"), "old").unwrap();
        fs::set_permissions(at("below/old"), Permissions::from_mode(0o600)).unwrap();
        for (link, target) in [("to-old", "below/old"), ("to-new", "below/new")] {
            symlink(target, at(link)).unwrap();
            put(&at(link), "new").unwrap();
            assert!(at(link).is_symlink(), "{link}");
            assert_eq!(fs::read_to_string(at(target)).unwrap(), "new", "{link}");
        }
        assert_eq!(fs::metadata(at("below/old")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(&at("below")), ["new", "old"]);
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_pipes_are_written_to() {
        use std::io::Read as _;
        use std::os::{fd::AsRawFd as _, unix::fs::FileTypeExt as _};
        check_results("--output", Path::new("/dev/null"), []).unwrap();
        put(Path::new("/dev/null"), "gone").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        let (mut reader, writer) = io::pipe().unwrap();
        put(Path::new(&format!("/dev/fd/{}", writer.as_raw_fd())), "text").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
    }

    #[test]
    fn what_cannot_be_written_shows_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("in"), "text").unwrap();
        let input = at("in");
        let check = |path: &Path, says: &str| {
            let found = check_results("--output", path, [input.as_path()]).map_err(|error| format!("{error:#}"));
            let found = found.err().unwrap_or_default();
            assert!(found.contains(says) && found.is_empty() == says.is_empty(), "{}: {found}", path.display());
            assert_eq!((names(folder.path()), fs::read_to_string(&input).unwrap()), (vec!["in".into()], "text".into()));
        };
        check(&at("new"), "");
        check(&at("in"), "which is read");
        check(&at("./in"), "which is read");
        check(&at("none/new"), "none/new");
        check(folder.path(), "directory");
    }
}
