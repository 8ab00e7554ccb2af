//! A finished model in a smaller format.

use std::{
    fs,
    path::{Path, PathBuf},
};

use grulm_durable::PART;
use grulm_model::{WEIGHTS_FILE, WeightFormat};
use grulm_tasks::{
    Scores, Task,
    bundle::{Rounded, convert, note_rounding},
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
    for folder in [&part, &target] {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(Error::io(folder))?;
        }
    }
    fs::create_dir_all(&part).map_err(Error::io(&part))?;
    convert(best, &part, format)?;
    task.params().load(&part.join(WEIGHTS_FILE))?;
    task.weights_were_loaded();
    let scores = task.evaluate()?;
    let figures = scores.iter().flat_map(Scores::finite).collect();
    note_rounding(&part, Rounded { format, scores: figures }, task.settings()?)?;
    checkpoint::sync(&part)?;
    fs::rename(&part, &target).map_err(Error::io(&target))?;
    checkpoint::sync_folder(run_dir)?;
    Ok((target, scores))
}
