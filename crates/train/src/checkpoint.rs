//! Checkpoints: written whole or not at all, verified before use.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Component, Path, PathBuf},
    time::Instant,
};

use grulm_durable::{
    PART,
    digest::{sha256, sha256_file},
    with_suffix,
};
use grulm_tasks::{Task, bundle::Provenance};

use crate::{
    Error,
    optim::Optimizer,
    state::{TrainState, VERSION},
};

/// The folder of checkpoints in a run folder.
pub(crate) const FOLDER: &str = "checkpoints";
/// Names the best checkpoint of a run folder.
pub(crate) const BEST: &str = "best";
/// Names the newest checkpoint of a run folder.
pub(crate) const LAST: &str = "last";

const WEIGHTS: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const CARRY: &str = "carry.safetensors";
const STATE: &str = "state.json";

/// Ends the name of a checkpoint that failed its verification.
const DAMAGED: &str = ".damaged";

/// The folder of the best checkpoint of the run in `run_dir` (the newest, where the task has no validation data).
///
/// # Errors
/// When the run has none, or the file `best` names none.
pub fn best_checkpoint(run_dir: &Path) -> Result<PathBuf, Error> {
    let pointer = run_dir.join(BEST);
    let name = fs::read_to_string(&pointer).map_err(Error::io(&pointer))?;
    let name = name.trim_end();
    let folder = run_dir.join(FOLDER).join(name);
    if step_of(name).is_none() || !folder.is_dir() {
        let reason = format!("names {name:?}, which is no checkpoint in {}", run_dir.join(FOLDER).display());
        return Err(Error::checkpoint(&pointer, reason));
    }
    Ok(folder)
}

/// The best checkpoint of the run in `run_dir`, which this process has locked, where the run has come to its end and that
/// checkpoint is whole.
///
/// # Errors
/// When the folder cannot be read or written to.
pub fn finished(run_dir: &Path) -> Result<Option<PathBuf>, Error> {
    let Some((_, state)) = newest_whole(run_dir)?.filter(|(_, state)| state.finished) else { return Ok(None) };
    if lost_best(run_dir, &state)?.is_some() {
        return Ok(None);
    }
    // The run may have been killed before `last` and `best` named its last checkpoint.
    point(run_dir, &state)?;
    best_checkpoint(run_dir).map(Some)
}

/// The folder name of the checkpoint after `step` updates.
pub(crate) fn name(step: u64) -> String {
    format!("step-{step:07}")
}

fn step_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("step-")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Checkpoints in a run folder by step, the newest first; what is not complete is none.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(run_dir: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut found: Vec<_> =
        entries(&run_dir.join(FOLDER))?.into_iter().filter_map(|(name, path)| Some((step_of(&name)?, path))).collect();
    found.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let read = match fs::read_dir(folder) {
        Ok(read) => read,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(folder)(e)),
    };
    read.map(|entry| {
        let entry = entry.map_err(Error::io(folder))?;
        Ok((entry.file_name().to_string_lossy().into_owned(), entry.path()))
    })
    .collect()
}

/// Whether `name` is a name that this module gives to a folder.
pub(crate) fn is_own_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    step_of(stem).is_some() || stem == "probe"
}

/// Removes what an earlier process left half-written or half-removed.
pub(crate) fn remove_partial(run_dir: &Path) -> Result<(), Error> {
    for (name, path) in entries(&run_dir.join(FOLDER))? {
        if name.ends_with(PART) && is_own_name(&name) {
            tracing::info!("removing {}, which is not complete", path.display());
            fs::remove_dir_all(&path).map_err(Error::io(&path))?;
        }
    }
    Ok(())
}

/// Saves a checkpoint under its final name, then moves `last` and `best` to it, then removes old ones but the newest `keep`
/// and the best.
pub(crate) fn save(
    run_dir: &Path,
    task: &dyn Task,
    optimizer: &Optimizer,
    state: &mut TrainState,
    provenance: &Provenance,
    keep: usize,
) -> Result<PathBuf, Error> {
    let parent = run_dir.join(FOLDER);
    let name = name(state.step);
    let (target, part) = (parent.join(&name), parent.join(format!("{name}{PART}")));
    if let Err(error) = write(&part, task, optimizer, state, provenance) {
        // The disk may be full: what was written so far only takes space. That it cannot be removed would hide the error.
        let _ = fs::remove_dir_all(&part);
        return Err(error);
    }
    if target.exists() {
        // Only a run that was resumed from before this step comes here.
        discard(&target)?;
    }
    fs::rename(&part, &target).map_err(Error::io(&target))?;
    sync_folder(&parent)?;
    point(run_dir, state)?;
    remove_old(run_dir, state, keep)?;
    Ok(target)
}

/// Makes `last` and `best` name the checkpoints that `state` knows.
pub(crate) fn point(run_dir: &Path, state: &TrainState) -> Result<(), Error> {
    let best = state.best.as_ref().map_or(state.step, |best| best.step);
    write_atomically(&run_dir.join(LAST), format!("{}\n", name(state.step)).as_bytes())?;
    write_atomically(&run_dir.join(BEST), format!("{}\n", name(best)).as_bytes())
}

/// Writes every file of a checkpoint to `folder` and makes them durable; says how long that took, in seconds.
pub(crate) fn write(
    folder: &Path,
    task: &dyn Task,
    optimizer: &Optimizer,
    state: &mut TrainState,
    provenance: &Provenance,
) -> Result<f64, Error> {
    let begun = Instant::now();
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::io(folder))?;
    }
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    task.save_bundle(folder, provenance)?;
    optimizer.save(&folder.join(OPTIMIZER))?;
    grulm_model::save_tensors(&folder.join(CARRY), &task.state())?;
    state.sha256 = BTreeMap::new();
    for (path, _) in files(folder, folder)? {
        let file = folder.join(&path);
        let sum = sha256_file(&file).map_err(grulm_tasks::Error::io(&file))?;
        state.sha256.insert(path, sum);
    }
    let own = sha256(&json(state, folder)?);
    state.sha256.insert(STATE.to_owned(), own);
    write_atomically(&folder.join(STATE), &json(state, folder)?)?;
    sync(folder)?;
    Ok(begun.elapsed().as_secs_f64())
}

/// The newest checkpoint that is whole, with its state. Those that are not are set aside, with a warning each.
pub(crate) fn newest_whole(run_dir: &Path) -> Result<Option<(PathBuf, TrainState)>, Error> {
    let found = list(run_dir)?;
    let mut reasons = Vec::new();
    let mut damaged = Vec::new();
    let mut whole = None;
    for (step, path) in found {
        match verify(&path, step) {
            Ok(state) => {
                whole = Some((path, state));
                break;
            }
            Err(e) => {
                tracing::warn!("passing over {}: {e}", path.display());
                reasons.push(e.to_string());
                damaged.push(path);
            }
        }
    }
    if whole.is_none() && !reasons.is_empty() {
        let reason = format!("no checkpoint is whole: {}", reasons.join("; "));
        return Err(Error::checkpoint(&run_dir.join(FOLDER), reason));
    }
    for path in damaged {
        set_aside(&path)?;
    }
    Ok(whole)
}

/// Takes the name of a damaged checkpoint away; its files stay, for whoever wants to look.
fn set_aside(path: &Path) -> Result<(), Error> {
    let aside = with_suffix(path, DAMAGED);
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(Error::io(&aside))?;
    }
    fs::rename(path, &aside).map_err(Error::io(path))
}

/// Makes the run in `run_dir` go on from `state`: `last` and `best` name its checkpoints, of which the best may be lost.
pub(crate) fn forget_lost_best(run_dir: &Path, state: &mut TrainState) -> Result<(), Error> {
    if let Some(step) = lost_best(run_dir, state)? {
        tracing::warn!("the best checkpoint, of step {step}, is lost; the next evaluation is the best so far");
        state.best = None;
    }
    point(run_dir, state)
}

/// The step of the best checkpoint that `state` knows, where it is not there or not whole, beside a newest one that is. One that
/// is damaged is set aside, with a warning.
pub(crate) fn lost_best(run_dir: &Path, state: &TrainState) -> Result<Option<u64>, Error> {
    let Some(step) = state.best.as_ref().map(|best| best.step).filter(|&best| best != state.step) else {
        return Ok(None);
    };
    let path = run_dir.join(FOLDER).join(name(step));
    if path.is_dir() {
        let Err(error) = verify(&path, step) else { return Ok(None) };
        tracing::warn!("passing over {}: {error}", path.display());
        set_aside(&path)?;
    }
    Ok(Some(step))
}

/// Whether the best checkpoint of the run in `run_dir` is there, and every file of it is as it was saved.
#[must_use]
pub fn best_is_whole(run_dir: &Path) -> bool {
    let step = |path: &Path| path.file_name().and_then(|name| step_of(&name.to_string_lossy()));
    best_checkpoint(run_dir).is_ok_and(|path| step(&path).is_some_and(|step| verify(&path, step).is_ok()))
}

/// Reads the state of a checkpoint and compares every file with the sum that was recorded.
fn verify(folder: &Path, step: u64) -> Result<TrainState, Error> {
    let path = folder.join(STATE);
    let text = fs::read(&path).map_err(Error::io(&path))?;
    let mut state: TrainState =
        serde_json::from_slice(&text).map_err(|e| Error::checkpoint(&path, format!("not a whole state: {e}")))?;
    if state.version != VERSION {
        let reason = format!("format version {}; this program reads {VERSION}", state.version);
        return Err(Error::checkpoint(&path, reason));
    }
    let own = state.sha256.remove(STATE);
    if own != Some(sha256(&json(&state, folder)?)) || state.step != step {
        return Err(Error::checkpoint(&path, "does not match its own checksum"));
    }
    for required in [WEIGHTS, OPTIMIZER, CARRY] {
        if !state.sha256.contains_key(required) {
            return Err(Error::checkpoint(&path, format!("lists no {required}")));
        }
    }
    for (name, sum) in &state.sha256 {
        let path = folder.join(name);
        // A state from elsewhere may name what is not its own, or never ends.
        let own = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
            && fs::symlink_metadata(&path).is_ok_and(|file| file.is_file());
        if !own {
            return Err(Error::checkpoint(&path, "is no file of the checkpoint, though its state.json lists it"));
        }
        if sha256_file(&path).map_err(grulm_tasks::Error::io(&path))? != *sum {
            return Err(Error::checkpoint(&path, "does not match its checksum in state.json"));
        }
    }
    Ok(state)
}

/// Loads weights, optimizer and carried state from a checkpoint that was verified.
pub(crate) fn load(folder: &Path, task: &mut dyn Task, optimizer: &mut Optimizer) -> Result<(), Error> {
    task.params().load(&folder.join(WEIGHTS))?;
    task.weights_were_loaded();
    optimizer.load(&folder.join(OPTIMIZER))?;
    Ok(task.load_state(&grulm_model::load_tensors(&folder.join(CARRY))?)?)
}

fn remove_old(run_dir: &Path, state: &TrainState, keep: usize) -> Result<(), Error> {
    let best = state.best.as_ref().map(|best| best.step);
    for (_, path) in list(run_dir)?.into_iter().skip(keep).filter(|(step, _)| Some(*step) != best) {
        discard(&path)?;
    }
    Ok(())
}

/// Removes a checkpoint; it loses its name first, so that a half-removed one is never taken for whole.
fn discard(path: &Path) -> Result<(), Error> {
    let dying = with_suffix(path, &format!(".old{PART}"));
    if dying.exists() {
        fs::remove_dir_all(&dying).map_err(Error::io(&dying))?;
    }
    fs::rename(path, &dying).map_err(Error::io(path))?;
    fs::remove_dir_all(&dying).map_err(Error::io(&dying))
}

/// Replaces a file: a reader finds the old content or the new, and nothing in between.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), Error> {
    grulm_durable::write(path, content).map_err(Error::io(path))
}

/// Makes the files of a folder durable, and their names.
pub(crate) fn sync(folder: &Path) -> Result<(), Error> {
    for (_, path) in files(folder, folder)? {
        File::open(&path).and_then(|file| file.sync_all()).map_err(Error::io(&path))?;
    }
    sync_folder(folder)
}

pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    grulm_durable::sync_folder(folder).map_err(Error::io(folder))
}

/// Every file below `folder`: its path from `root`, with `/`, and its path.
fn files(root: &Path, folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut found = Vec::new();
    for (_, path) in entries(folder)? {
        if path.is_dir() {
            found.extend(files(root, &path)?);
        } else {
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            found.push((parts.join("/"), path));
        }
    }
    Ok(found)
}

fn json(state: &TrainState, folder: &Path) -> Result<Vec<u8>, Error> {
    let mut text = serde_json::to_vec_pretty(state)
        .map_err(|e| Error::checkpoint(&folder.join(STATE), format!("cannot be written: {e}")))?;
    text.push(b'\n');
    Ok(text)
}
