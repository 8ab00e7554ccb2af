//! The run that a run folder holds already.

use std::path::{Path, PathBuf};

use grulm_config::{Difference, Invalid, differences};
use grulm_tasks::Provenance;
use grulm_train::{PrecisionSetting, RunFolder, Start, TrainState, checkpoints};

use crate::{exit::Usage, files::read_json, sections::Sections};

/// Settings that say where a run is and how it is watched, not what it computes. [`Sections::INCIDENTAL`] has those of the
/// other sections.
const INCIDENTAL: [&str; 5] = ["run.dir", "run.device", "run.threads", "run.log", "run.save_as"];
/// Settings that may differ beside these when a run is resumed.
const RESUMABLE: [&str; 4] = ["train.steps", "train.epochs", "train.log_every", "train.on_divergence"];

/// Refuses a run folder that `start` does not fit: the one of `config`, which holds `previous`.
///
/// # Errors
/// When it was not said what to do about a run that is there, or it cannot go on with the settings of now, or the model that the
/// run starts from lies in the folder.
pub fn check(previous: Option<&Previous>, config: &impl Sections, start: Start) -> anyhow::Result<()> {
    check_start(config)?;
    match (previous, start) {
        (Some(previous), Start::Fresh) => Err(previous.refuse().into()),
        (Some(previous), Start::Resume) => Ok(previous.check_resumable()?),
        _ => Ok(RunFolder::check(&config.run().dir, start)?),
    }
}

/// A run replaces what is in its folder.
fn check_start(config: &impl Sections) -> Result<(), Invalid> {
    let dir = &config.run().dir;
    let Some((key, model)) = config.starts_from() else { return Ok(()) };
    let (Ok(run), Ok(own)) = (dir.canonicalize(), model.canonicalize()) else { return Ok(()) };
    let allowed = format!("a folder that neither is nor holds `{key}` = {model:?}, the model that the run starts from");
    Invalid::check("run.dir", dir, !own.starts_with(run), allowed)
}

/// A run that began earlier.
#[derive(Debug)]
pub struct Previous {
    run_dir: PathBuf,
    /// Settings that do not tell one run from another.
    incidental: Vec<&'static str>,
    /// Where its settings differ from those of now.
    differences: Vec<Difference>,
    /// The arithmetic that it was begun with.
    pub precision: PrecisionSetting,
    /// It came to its end.
    pub finished: bool,
    /// What it learned from, where a checkpoint tells.
    origin: Option<Provenance>,
    /// Its number of steps follows from `train.budget`.
    has_budget: bool,
}

impl Previous {
    /// The run in the folder of `config`, if there is one that `start` does not remove.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn find<C: Sections>(config: &C, start: Start) -> anyhow::Result<Option<Self>> {
        let run_dir = config.run().dir.clone();
        let path = run_dir.join("config.toml");
        if start == Start::Overwrite
            || !path.is_file()
            || !run_dir.join("metrics.jsonl").is_file()
            || !run_dir.join("checkpoints").is_dir()
        {
            return Ok(None);
        }
        let foreign = |error: grulm_config::Error| {
            let dir = run_dir.display();
            Usage(format!("{dir}: holds a run of another program or version ({error}); choose another run.dir"))
        };
        let begun_with = grulm_config::load::<C>(&path, &[]).map_err(foreign)?;
        let precision = begun_with.train().precision;
        let mut config = config.clone();
        // A run goes on in the arithmetic that "auto" chose when it began.
        if config.train().precision == PrecisionSetting::Auto {
            config.train_mut().precision = precision;
        }
        let differences = differences(&begun_with, &config)?;
        // One that cannot be read is passed over, as a resume passes over it.
        let readable = |(_, folder): (u64, PathBuf)| {
            let state = read_json::<TrainState>(&folder.join("state.json")).ok()?;
            Some((state, read_json::<Provenance>(&folder.join("provenance.json")).ok()?))
        };
        let newest = checkpoints(&run_dir)?.into_iter().find_map(readable);
        let finished = newest.as_ref().is_some_and(|(state, _)| state.finished);
        let origin = newest.map(|(_, provenance)| provenance);
        let has_budget = config.train().budget.is_some();
        let incidental = [INCIDENTAL.as_slice(), C::INCIDENTAL].concat();
        Ok(Some(Self { run_dir, incidental, differences, precision, finished, origin, has_budget }))
    }

    /// Whether the same settings would compute the same run.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.differing(&self.incidental).is_empty()
    }

    fn differing(&self, allowed: &[&str]) -> Vec<&Difference> {
        self.differences.iter().filter(|difference| !allowed.contains(&difference.key.as_str())).collect()
    }

    /// What to say where neither `--resume` nor `--overwrite` was given.
    fn refuse(&self) -> Usage {
        let differing = self.differing(&self.incidental);
        let what = match (differing.is_empty(), self.finished) {
            (true, true) => "a finished run".to_owned(),
            (true, false) => "an unfinished run".to_owned(),
            (false, _) => format!("a run with other settings ({})", list(&differing)),
        };
        let go_on = if self.check_resumable().is_ok() { "go on with it with --resume, or " } else { "" };
        let dir = self.run_dir.display();
        Usage(format!("{dir}: holds {what}; {go_on}replace it with --overwrite"))
    }

    /// Checks that the run can go on with the settings of now.
    ///
    /// # Errors
    /// Names the settings that must not differ.
    fn check_resumable(&self) -> Result<(), Usage> {
        let allowed = [self.incidental.as_slice(), &RESUMABLE].concat();
        let differing = self.differing(&allowed);
        let length = |d: &&Difference| ["train.steps", "train.epochs"].contains(&d.key.as_str());
        if let (true, Some(d)) = (self.has_budget, self.differences.iter().find(length)) {
            return Err(Usage(format!(
                "{}: `{}` = {}, but train.budget fixed the number of steps when the run began; to train on, start a run from \
                 its model (train.init)",
                self.run_dir.display(),
                d.key,
                d.right
            )));
        }
        if differing.is_empty() {
            return Ok(());
        }
        let (dir, list) = (self.run_dir.display(), list(&differing));
        Err(Usage(format!(
            "{dir}: --resume goes on with the settings of the run's config.toml, but {list}; only {} may differ",
            allowed.join(", ")
        )))
    }

    /// Checks that the run learned from the corpus of this fingerprint.
    ///
    /// # Errors
    /// When it learned from another one.
    pub fn check_corpus(&self, fingerprint: &str) -> Result<(), Usage> {
        check_corpus(&self.run_dir, self.origin.as_ref(), fingerprint)
    }

    /// Checks that the run started from the weights of this SHA-256.
    ///
    /// # Errors
    /// When it started from others.
    pub fn check_parent(&self, weights_sha256: &str) -> Result<(), Usage> {
        check_parent(&self.run_dir, self.origin.as_ref(), weights_sha256)
    }
}

/// Checks that what was trained in `run_dir`, as `origin` tells, learned from the corpus of this fingerprint.
///
/// # Errors
/// When it learned from another one.
pub fn check_corpus(run_dir: &Path, origin: Option<&Provenance>, fingerprint: &str) -> Result<(), Usage> {
    match origin.and_then(|origin| origin.corpus.as_deref()) {
        Some(own) if own != fingerprint => Err(Usage(format!(
            "{}: the run learned from another corpus (fingerprint {own}) than that of now ({fingerprint}): text or settings \
             changed since; go back to the former ones, or start anew with --overwrite",
            run_dir.display()
        ))),
        _ => Ok(()),
    }
}

/// Checks that what was trained in `run_dir`, as `origin` tells, started from the weights of this SHA-256.
///
/// # Errors
/// When it started from others.
pub fn check_parent(run_dir: &Path, origin: Option<&Provenance>, weights_sha256: &str) -> Result<(), Usage> {
    match origin.and_then(|origin| origin.parent.as_deref()) {
        Some(own) if own != weights_sha256 => Err(Usage(format!(
            "{}: the run started from other weights (SHA-256 {own}) than those that finetune.pretrained or its adaptation has now \
             ({weights_sha256}); go back to the former ones, or start anew with --overwrite",
            run_dir.display()
        ))),
        _ => Ok(()),
    }
}

/// What the newest checkpoint in `run_dir` learned from, of those that can be read.
///
/// # Errors
/// When the folder cannot be read.
pub fn newest_origin(run_dir: &Path) -> anyhow::Result<Option<Provenance>> {
    let readable = |(_, folder): (u64, PathBuf)| read_json::<Provenance>(&folder.join("provenance.json")).ok();
    Ok(checkpoints(run_dir)?.into_iter().find_map(readable))
}

fn list(differences: &[&Difference]) -> String {
    let one = |d: &&Difference| format!("`{}` = {} was {}", d.key, d.right, d.left);
    differences.iter().map(one).collect::<Vec<_>>().join(", ")
}
