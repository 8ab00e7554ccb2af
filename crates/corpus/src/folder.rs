//! The corpus folder as a whole: it is built beside its place and put there by a rename.
//!
//! `<dir>.part` is the folder under construction, `.<dir>.replaced-by-grulm` the one that is being replaced: a name that nobody gives a
//! corpus of their own, for it is removed. A run that is killed leaves the old corpus, the new one, or both: [`Staging::begin`] puts back an
//! old corpus that was moved aside, and throws away everything else.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use grulm_config::Invalid;
use grulm_durable::PART;

use crate::corpus::{CLEANING, MANIFEST, REJECTS, TOKENIZER};
use crate::{Error, Split};

/// The folder of temporary files inside the folder under construction.
const WORK: &str = "work";
/// Ends the name of a corpus that is being replaced.
const REPLACED: &str = ".replaced-by-grulm";

/// A corpus folder under construction.
#[derive(Debug)]
pub(crate) struct Staging {
    dir: PathBuf,
    part: PathBuf,
    old: PathBuf,
    /// The folder under construction, locked against other processes; none before there is one.
    lock: Option<File>,
}

impl Staging {
    /// Finds the places of a corpus folder, and cleans up after a run that was killed.
    pub(crate) fn begin(dir: &Path) -> Result<Self, Error> {
        let refuse = |allowed| Invalid::new("corpus.dir", dir, allowed);
        // A link stays, and what it leads to is replaced.
        let dir = if dir.is_symlink() {
            dir.canonicalize().map_err(|_| refuse("a folder, or a link to one that exists"))?
        } else {
            dir.to_owned()
        };
        let name = dir.file_name().ok_or_else(|| refuse("a folder with a name"))?;
        let beside = |prefix: &str, suffix: &str| {
            let parts = [OsStr::new(prefix), name, OsStr::new(suffix)];
            dir.with_file_name(parts.into_iter().collect::<OsString>())
        };
        let (part, old) = (beside("", PART), beside(".", REPLACED));
        let mut staging = Self { dir, part, old, lock: None };
        refuse_foreign(&staging.dir, is_ours)?;
        refuse_foreign(&staging.old, is_ours)?;
        refuse_foreign(&staging.part, |name| is_ours(name) || is_temporary(name))?;
        if staging.part.exists() {
            staging.lock = Some(lock(&staging.part)?);
            clear(&staging.part)?;
        }
        if staging.old.exists() && !staging.dir.exists() {
            fs::rename(&staging.old, &staging.dir).map_err(Error::io(&staging.old))?;
        }
        remove(&staging.old)?;
        Ok(staging)
    }

    /// Creates the folder under construction.
    pub(crate) fn create(&mut self) -> Result<(), Error> {
        fs::create_dir_all(&self.part).map_err(Error::io(&self.part))?;
        if self.lock.is_none() {
            self.lock = Some(lock(&self.part)?);
        }
        fs::create_dir_all(self.work()).map_err(Error::io(self.work()))
    }

    /// The folder under construction.
    pub(crate) fn path(&self) -> &Path {
        &self.part
    }

    /// The folder for temporary files, which goes when the corpus is complete.
    pub(crate) fn work(&self) -> PathBuf {
        self.part.join(WORK)
    }

    /// Puts the file `name` of the folder under construction into the corpus that is there.
    pub(crate) fn replace(self, name: &str) -> Result<(), Error> {
        let target = self.dir.join(name);
        fs::rename(self.part.join(name), &target).map_err(Error::io(&target))?;
        sync_folder(&self.dir)
    }

    /// Puts the complete folder into its place, and removes the corpus that was there.
    pub(crate) fn finish(self) -> Result<(), Error> {
        remove(&self.work())?;
        sync_folder(&self.part)?;
        if self.dir.exists() {
            fs::rename(&self.dir, &self.old).map_err(Error::io(&self.dir))?;
        }
        fs::rename(&self.part, &self.dir).map_err(Error::io(&self.part))?;
        if let Some(parent) = self.dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_folder(parent)?;
        }
        remove(&self.old)
    }
}

impl Drop for Staging {
    /// Frees the disk where preparation failed; after [`Staging::finish`] there is nothing left.
    fn drop(&mut self) {
        // Without the lock it is another process's.
        if self.lock.is_some() {
            let _ = fs::remove_dir_all(&self.part);
        }
    }
}

/// Locks a folder under construction for as long as the file is open.
fn lock(part: &Path) -> Result<File, Error> {
    let busy = || Error::Folder {
        path: part.to_owned(),
        reason: "another process is preparing this corpus; wait for it, or choose another corpus.dir".into(),
    };
    let folder = File::open(part).map_err(Error::io(part))?;
    match folder.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(busy()),
        Err(TryLockError::Error(e)) => {
            tracing::warn!(
                "{}: this file system has no locks ({e}); prepare this corpus once at a time",
                part.display()
            );
        }
    }
    // What was opened may have been finished, or removed, before it was locked.
    if is_at(&folder, part) { Ok(folder) } else { Err(busy()) }
}

#[cfg(unix)]
fn is_at(folder: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |metadata: std::io::Result<fs::Metadata>| metadata.ok().map(|found| (found.dev(), found.ino()));
    place(folder.metadata()) == place(fs::metadata(path))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.is_dir()
}

/// Removes what is in a folder.
fn clear(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(Error::io(&path))?;
    }
    Ok(())
}

/// Refuses a folder that holds anything but a corpus, since replacing it would delete what is not ours.
fn refuse_foreign(folder: &Path, is_ours: impl Fn(&str) -> bool) -> Result<(), Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io(folder)(error)),
    };
    for entry in entries {
        let name = entry.map_err(Error::io(folder))?.file_name();
        if !is_ours(&name.to_string_lossy()) {
            let reason = format!(
                "holds {name:?}, which is no part of a corpus; a corpus folder is replaced as a whole, so name another one in `corpus.dir` or move the file away"
            );
            return Err(Error::Folder { path: folder.to_owned(), reason });
        }
    }
    Ok(())
}

fn is_ours(name: &str) -> bool {
    let shard = |split: &Split| {
        let number = name.strip_prefix(split.name()).and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".bin"));
        number.is_some_and(|digits| digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    [MANIFEST, TOKENIZER, CLEANING, REJECTS].contains(&name) || Split::ALL.iter().any(shard)
}

/// What a run that was killed may leave beside that: a file that was cut off under its temporary name.
fn is_temporary(name: &str) -> bool {
    name == WORK || name.starts_with(".tmp") || name.strip_suffix(PART).is_some_and(is_ours)
}

fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder)(error)),
        _ => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    grulm_durable::sync_folder(folder).map_err(Error::io(folder))
}

/// Writes a file and syncs it. The name is final: the caller writes into a folder under construction.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create(path).map_err(Error::io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds the folders named (each with a manifest that says its name), begins, and lists what is there.
    fn check_begin(before: &[&str], expect: &[(&str, &str)]) {
        let parent = tempfile::tempdir().unwrap();
        for name in before {
            fs::create_dir(parent.path().join(name)).unwrap();
            fs::write(parent.path().join(name).join("manifest.json"), name).unwrap();
        }
        Staging::begin(&parent.path().join("c")).unwrap();
        let mut found: Vec<(String, String)> = fs::read_dir(parent.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                (
                    path.file_name().unwrap().to_string_lossy().into(),
                    fs::read_to_string(path.join("manifest.json")).unwrap(),
                )
            })
            .collect();
        found.sort();
        let expect: Vec<(String, String)> = expect.iter().map(|&(name, from)| (name.into(), from.into())).collect();
        assert_eq!(found, expect, "after {before:?}");
    }

    #[test]
    fn a_killed_run_leaves_one_whole_corpus() {
        check_begin(&[], &[]);
        check_begin(&["c"], &[("c", "c")]);
        check_begin(&["c.part"], &[]);
        // Killed while building.
        check_begin(&["c", "c.part"], &[("c", "c")]);
        // Killed between the two renames.
        check_begin(&[".c.replaced-by-grulm", "c.part"], &[("c", ".c.replaced-by-grulm")]);
        // Killed before the old corpus was removed.
        check_begin(&["c", ".c.replaced-by-grulm"], &[("c", "c")]);
        // A copy of the user's own.
        check_begin(&["c", "c.old"], &[("c", "c"), ("c.old", "c.old")]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        use std::os::unix::fs::symlink;
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        fs::create_dir(at("real")).unwrap();
        fs::write(at("real/manifest.json"), "first").unwrap();
        symlink("real", at("c")).unwrap();
        let mut staging = Staging::begin(&at("c")).unwrap();
        staging.create().unwrap();
        write_synced(&staging.path().join(MANIFEST), b"second").unwrap();
        staging.finish().unwrap();
        assert!(at("c").is_symlink() && !at("real").is_symlink());
        assert_eq!(fs::read_to_string(at("real/manifest.json")).unwrap(), "second");
        symlink("none", at("dangling")).unwrap();
        let message = Staging::begin(&at("dangling")).unwrap_err().to_string();
        assert!(message.contains("`corpus.dir`") && message.contains("a link to one that exists"), "{message}");
    }

    #[test]
    fn two_at_a_time_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("c");
        let mut first = Staging::begin(&dir).unwrap();
        let mut late = Staging::begin(&dir).unwrap();
        first.create().unwrap();
        for message in [late.create().unwrap_err().to_string(), Staging::begin(&dir).unwrap_err().to_string()] {
            assert!(message.contains("c.part") && message.contains("another process"), "{message}");
        }
        drop(late);
        write_synced(&first.path().join("manifest.json"), b"{}").unwrap();
        first.finish().unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        Staging::begin(&dir).unwrap().create().unwrap();
    }

    #[test]
    fn finish_replaces_the_old_corpus() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("c");
        for text in ["first", "second"] {
            let mut staging = Staging::begin(&dir).unwrap();
            staging.create().unwrap();
            write_synced(&staging.path().join("manifest.json"), text.as_bytes()).unwrap();
            staging.finish().unwrap();
            assert_eq!(fs::read_to_string(dir.join("manifest.json")).unwrap(), text);
            assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_folder_that_is_no_corpus_is_left_alone() {
        for name in [
            "thesis.doc",
            "train-00000.bin.bak",
            "train-x.bin",
            "notes.json",
            "train.txt",
            "work",
            "tokenizer.json.bak",
        ] {
            let parent = tempfile::tempdir().unwrap();
            let file = parent.path().join("c").join(name);
            fs::create_dir(parent.path().join("c")).unwrap();
            fs::write(&file, "mine").unwrap();
            let message = Staging::begin(&parent.path().join("c")).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains("corpus.dir"), "{message}");
            assert!(file.exists());
        }
        assert!(Staging::begin(Path::new("/")).unwrap_err().to_string().contains("corpus.dir"));
    }

    #[test]
    fn the_names_of_a_corpus() {
        for name in ["train-00000.bin", "test-123456.bin", "manifest.json", "rejects.jsonl", "tokenizer.json"] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["cleaning.json.part", ".tmpAbC", "work"] {
            assert!(is_temporary(name) && !is_ours(name), "{name}");
        }
    }
}
