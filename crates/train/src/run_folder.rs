//! The run folder: who may write to it, and what it must hold.

use std::{
    fs::{self, File, TryLockError},
    io::Write,
    path::{Path, PathBuf},
};

use grulm_durable::PART;

use crate::{
    Error,
    checkpoint::{self, BEST, FOLDER, LAST, write_atomically},
};

pub(crate) const CONFIG: &str = "config.toml";
pub(crate) const METRICS: &str = "metrics.jsonl";
pub(crate) const TIMING: &str = "timing.jsonl";
const LOCK: &str = "run.lock";
/// Written by the binaries.
const LOG: &str = "log.txt";
/// Written by the binaries.
const TEST: &str = "test.json";
/// The run folder, inside of this one, of the stage that adapts a language model before it is fine-tuned.
pub const ADAPT: &str = "adapt";

/// What a folder has that is a bundle.
const BUNDLE: &str = "task.json";

/// The bundle in this folder that holds the best model in a smaller format.
pub(crate) const SAVED: &str = "saved";

/// What to do about a run that the folder already holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Refuse it.
    Fresh,
    /// Go on from its newest whole checkpoint; where there is no run, start one.
    Resume,
    /// Remove it and start at step 0.
    Overwrite,
}

/// A run folder that this process alone writes to, until it is dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    start: Start,
    config_toml: String,
    _lock: File,
}

impl RunFolder {
    /// Locks the folder and readies it for a run with the settings `config_toml`, the text of its `config.toml`. A folder
    /// that is refused stays as it is; the config of a run that is to go on is replaced when it does.
    ///
    /// # Errors
    /// As [`RunFolder::check`]; when another process trains there, or a file cannot be written.
    pub fn open(path: &Path, start: Start, config_toml: &str) -> Result<Self, Error> {
        Self::check(path, start)?;
        fs::create_dir_all(path).map_err(Error::io(path))?;
        let folder = Self { path: path.to_owned(), start, config_toml: config_toml.to_owned(), _lock: lock(path)? };
        if start == Start::Overwrite {
            remove_run(path)?;
        }
        let checkpoints = path.join(FOLDER);
        fs::create_dir_all(&checkpoints).map_err(Error::io(&checkpoints))?;
        checkpoint::remove_partial(path)?;
        // Before the config: a config without metrics beside it is a user's own.
        let metrics = path.join(METRICS);
        File::options().create(true).append(true).open(&metrics).map_err(Error::io(&metrics))?;
        if start != Start::Resume || !path.join(CONFIG).exists() {
            folder.write_config()?;
        }
        Ok(folder)
    }

    /// Writes `config.toml`: the run goes on as it says.
    pub(crate) fn write_config(&self) -> Result<(), Error> {
        write_atomically(&self.path.join(CONFIG), self.config_toml.as_bytes())
    }

    /// Whether what is in the folder lets a run begin as `start` says.
    ///
    /// # Errors
    /// When it holds a run that would be replaced unasked, or files that are no part of a run.
    pub fn check(path: &Path, start: Start) -> Result<(), Error> {
        // A process that was killed as it began or removed a run may leave some that hold nothing.
        let replaced = [CONFIG, METRICS, TIMING, TEST, FOLDER, BEST, LAST, ADAPT, SAVED];
        let clashes = replaced.iter().any(|name| holds_something(&path.join(name)));
        let is_run = path.join(METRICS).is_file() && path.join(FOLDER).is_dir();
        match start {
            // What is meant by the folder would change from that model to the run's best.
            _ if path.join(BUNDLE).is_file() => {
                Err(Error::run_folder(path, format!("holds a model ({BUNDLE}), not a run; choose another run.dir")))
            }
            _ if clashes && !is_run => {
                Err(Error::run_folder(path, "holds files that a run would replace, but no run; choose another run.dir"))
            }
            Start::Fresh if is_run => {
                let newest = checkpoint::list(path)?.first().map(|(step, _)| format!(", at step {step}"));
                let reason = format!(
                    "holds a run already{}; go on with it with --resume, or replace it with --overwrite",
                    newest.unwrap_or_default()
                );
                Err(Error::run_folder(path, reason))
            }
            Start::Overwrite => check_all_own(path),
            Start::Fresh | Start::Resume => Ok(()),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was to be done about a run that it held.
    pub(crate) fn start(&self) -> Start {
        self.start
    }
}

/// Overwriting removes a run; anything else in the folder means that it may be the wrong one.
fn check_all_own(path: &Path) -> Result<(), Error> {
    let own = [CONFIG, METRICS, TIMING, LOG, TEST, LOCK, BEST, LAST, FOLDER, ADAPT, SAVED];
    let foreign = |folder: &Path, is_own: &dyn Fn(&str) -> bool| -> Result<(), Error> {
        if !folder.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
            let name = entry.map_err(Error::io(folder))?.file_name().to_string_lossy().into_owned();
            if !is_own(&name) {
                let reason = format!(
                    "{name:?} in {} is no part of a run; --overwrite removes runs only: move it, or choose another run.dir",
                    folder.display()
                );
                return Err(Error::run_folder(path, reason));
            }
        }
        Ok(())
    };
    foreign(path, &|name| own.contains(&name.strip_suffix(PART).unwrap_or(name)))?;
    foreign(&path.join(FOLDER), &checkpoint::is_own_name)?;
    let adapt = path.join(ADAPT);
    if adapt.is_dir() { check_all_own(&adapt) } else { Ok(()) }
}

/// Whether there is a file that is not empty, or a folder that is not.
fn holds_something(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => fs::metadata(path).is_ok_and(|file| file.len() > 0),
    }
}

/// Removes a run's files but the lock, which is held, and the log, which tells of all runs here. What makes it a run, its metrics
/// and the folder of its checkpoints, is emptied and stays: killed in the midst of it, it can be removed once more.
fn remove_run(path: &Path) -> Result<(), Error> {
    let adapt = path.join(ADAPT);
    if adapt.is_dir() {
        remove_run(&adapt)?;
    }
    let checkpoints = path.join(FOLDER);
    let saved = fs::read_dir(&checkpoints).into_iter().flatten().map(|entry| entry.map(|entry| entry.path()));
    let saved = saved.collect::<Result<Vec<_>, _>>().map_err(Error::io(&checkpoints))?;
    for folder in saved.into_iter().chain([adapt, path.join(SAVED)]).filter(|folder| folder.is_dir()) {
        fs::remove_dir_all(&folder).map_err(Error::io(&folder))?;
    }
    for name in [BEST, LAST, TIMING, TEST, CONFIG] {
        let file = path.join(name);
        match fs::remove_file(&file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(&file)(e)),
            _ => {}
        }
    }
    let metrics = path.join(METRICS);
    if metrics.exists() {
        File::create(&metrics).map_err(Error::io(&metrics))?;
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK);
    let mut file =
        File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(Error::io(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let owner = fs::read_to_string(&path).unwrap_or_default();
            let reason = format!(
                "another process (number {}) is writing a run here; wait for it, or choose another run.dir",
                owner.trim()
            );
            return Err(Error::run_folder(folder, reason));
        }
        Err(TryLockError::Error(e)) => {
            tracing::warn!("{}: this file system has no locks ({e}); do not start a second run here", path.display());
        }
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(Error::io(&path))?;
    Ok(file)
}
