//! A finished model in a smaller format.

use std::{
    fs,
    path::{Path, PathBuf},
};

use grulm_durable::PART;
use grulm_model::{WEIGHTS_FILE, WeightFormat};
use grulm_tasks::{
    Provenance, Scores, Task,
    bundle::{Basis, PROVENANCE_FILE, Rounded, convert, note_rounding},
};

use crate::{Error, checkpoint, run_folder::SAVED};

/// Saves the checkpoint `best` of the run in `run_dir` once more, in `format`, as the bundle `saved`, and scores that: what
/// rounding cost stands in its provenance, and what a task fits on validation data (a temperature, a threshold) is that of the
/// rounded weights. `task` has them afterwards.
///
/// # Errors
/// When a file cannot be read or written, or the task fails.
pub fn export(
    task: &mut dyn Task,
    best: &Path,
    run_dir: &Path,
    format: WeightFormat,
) -> Result<(PathBuf, Option<Scores>), Error> {
    let (target, part) = (run_dir.join(SAVED), run_dir.join(format!("{SAVED}{PART}")));
    remove(&part)?;
    fs::create_dir_all(&part).map_err(Error::io(&part))?;
    let scores = write(task, best, &part, format).inspect_err(|_| {
        // The folder of before stays, and nothing half-written.
        let _ = remove(&part);
    })?;
    remove(&target)?;
    fs::rename(&part, &target).map_err(Error::io(&target))?;
    checkpoint::sync_folder(run_dir)?;
    Ok((target, scores))
}

/// Whether the run in `run_dir` holds its checkpoint `best` in `format` already, whole.
#[must_use]
pub fn is_exported(run_dir: &Path, best: &Path, format: WeightFormat) -> bool {
    let provenance = |folder: &Path| {
        let text = fs::read(folder.join(PROVENANCE_FILE)).ok()?;
        serde_json::from_slice::<Provenance>(&text).ok()
    };
    let (saved, own) = (provenance(&run_dir.join(SAVED)), provenance(best));
    saved.zip(own).is_some_and(|(saved, own)| {
        let rounded = saved.rounded.as_ref().map(|rounded| rounded.format);
        let is_own = rounded == Some(format) && Provenance { rounded: None, ..saved } == own;
        is_own && Basis::open(&run_dir.join(SAVED)).is_ok()
    })
}

fn write(task: &mut dyn Task, best: &Path, part: &Path, format: WeightFormat) -> Result<Option<Scores>, Error> {
    convert(best, part, format)?;
    task.params().load(&part.join(WEIGHTS_FILE))?;
    task.weights_were_loaded();
    let scores = task.evaluate()?;
    let figures = scores.iter().flat_map(Scores::finite).collect();
    note_rounding(part, Rounded { format, scores: figures }, task.settings()?)?;
    checkpoint::sync(part)?;
    Ok(scores)
}

fn remove(folder: &Path) -> Result<(), Error> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::io(folder))?;
    }
    Ok(())
}
