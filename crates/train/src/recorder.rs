//! What a run leaves behind beside its checkpoints, and what is seen of it while it runs.

use std::{
    fs::File,
    io::{IsTerminal, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use grulm_tasks::{Scores, Unit};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Serialize, Serializer};

use crate::{
    Error, Resident,
    run_folder::{METRICS, TIMING},
    state::TrainState,
};

/// Writes `metrics.jsonl` and `timing.jsonl`, logs, and moves the progress bar.
#[derive(Debug)]
pub(crate) struct Recorder {
    metrics: Lines,
    timing: Lines,
    bar: Option<ProgressBar>,
    clock: Clock,
}

/// Time and tokens of this process.
#[derive(Debug)]
struct Clock {
    /// When this process began, less the time of earlier ones.
    elapsed_before: f64,
    begun: Instant,
    /// Since the last line of metrics: when it was, what evaluations and checkpoints took, and the tokens before it.
    window_begun: Instant,
    paused: Duration,
    tokens_before: u64,
}

/// Figures of training since the last line.
#[derive(Debug)]
pub(crate) struct Training {
    pub(crate) loss: f64,
    /// What the task makes of the loss.
    pub(crate) figures: Vec<(&'static str, f64)>,
    pub(crate) learning_rate: f64,
    pub(crate) grad_norm: f64,
    pub(crate) unit: Unit,
}

impl Recorder {
    /// Opens the records of a run that stands at `state`; lines beyond it are cut off.
    pub(crate) fn open(folder: &Path, state: &TrainState, begun: Instant, progress: bool) -> Result<Self, Error> {
        let metrics = Lines::open_at(&folder.join(METRICS), Some(state.metrics_bytes))?;
        let timing = Lines::open_at(&folder.join(TIMING), None)?;
        let bar = (progress && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(state.total_steps).with_position(state.step).with_style(style());
            bar.reset_eta();
            bar
        });
        let clock = Clock {
            elapsed_before: state.elapsed_seconds,
            begun,
            window_begun: Instant::now(),
            paused: Duration::ZERO,
            tokens_before: state.tokens,
        };
        Ok(Self { metrics, timing, bar, clock })
    }

    /// After each update.
    pub(crate) fn step(&self, state: &TrainState) {
        if let Some(bar) = &self.bar {
            bar.set_position(state.step);
        }
    }

    /// Wall-clock seconds of the run, over all processes.
    pub(crate) fn elapsed(&self) -> f64 {
        self.clock.elapsed_before + self.clock.begun.elapsed().as_secs_f64()
    }

    /// Runs something that is not training, so that its time does not count as such.
    pub(crate) fn aside<R>(&mut self, body: impl FnOnce() -> R) -> (R, Duration) {
        let begun = Instant::now();
        let result = body();
        let took = begun.elapsed();
        self.clock.paused += took;
        (result, took)
    }

    /// A line of metrics and one of timing.
    pub(crate) fn training(&mut self, state: &TrainState, training: &Training) -> Result<(), Error> {
        let Training { loss, figures, learning_rate, grad_norm, unit } = training;
        let mut fields = vec![("step", Value::Count(state.step)), ("loss", Value::Number(*loss))];
        fields.extend(figures.iter().map(|(name, figure)| (*name, Value::Number(*figure))));
        fields.push(("learning_rate", Value::Number(*learning_rate)));
        fields.push(("grad_norm", Value::Number(*grad_norm)));
        self.metrics.write(&Fields(fields))?;

        let seconds = self.clock.window_begun.elapsed().saturating_sub(self.clock.paused).as_secs_f64();
        let speed = (state.tokens - self.clock.tokens_before) as f64 / seconds.max(1e-9);
        self.clock.window_begun = Instant::now();
        self.clock.paused = Duration::ZERO;
        self.clock.tokens_before = state.tokens;
        let mut fields = vec![
            ("step", Value::Count(state.step)),
            ("elapsed_seconds", Value::Number(self.elapsed())),
            (unit.per_second(), Value::Number(speed)),
        ];
        if let Some(Resident { now, peak }) = Resident::of_this_process() {
            let mib = |bytes: u64| Value::Number(bytes as f64 / f64::from(1 << 20));
            fields.extend([("resident_mib", mib(now)), ("peak_mib", mib(peak))]);
        }
        self.timing.write(&Fields(fields))?;

        let described = describe(figures.iter().map(|(name, figure)| (*name, *figure)));
        let message = format!("loss {loss:.4}{described}, {speed:.0} {}/s", unit.name());
        match &self.bar {
            Some(bar) => bar.set_message(message),
            None => tracing::info!("step {}/{}: {message}, rate {learning_rate:.3e}", state.step, state.total_steps),
        }
        Ok(())
    }

    /// A line of metrics and one of timing.
    pub(crate) fn evaluation(
        &mut self,
        state: &TrainState,
        scores: &Scores,
        improved: bool,
        took: Duration,
    ) -> Result<(), Error> {
        let figures = scores.figures.iter().map(|(name, figure)| (name.as_str(), Value::Number(*figure))).collect();
        let fields = vec![("step", Value::Count(state.step)), ("evaluation", Value::Fields(Fields(figures)))];
        self.metrics.write(&Fields(fields))?;
        let seconds = Value::Number(took.as_secs_f64());
        self.timing.write(&Fields(vec![("step", Value::Count(state.step)), ("evaluation_seconds", seconds)]))?;
        let described = describe(scores.figures.iter().map(|(name, figure)| (name.as_str(), *figure)));
        let verdict = if improved { ", the best so far" } else { "" };
        self.say(|| tracing::info!("step {}/{}: evaluation{described}{verdict}", state.step, state.total_steps));
        Ok(())
    }

    /// Logs without tearing the progress bar.
    pub(crate) fn say(&self, log: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(log),
            None => log(),
        }
    }

    /// Makes the records durable; returns the length of `metrics.jsonl`.
    pub(crate) fn sync(&mut self) -> Result<u64, Error> {
        self.timing.sync()?;
        self.metrics.sync()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

fn style() -> ProgressStyle {
    // A template that does not parse would only cost the layout.
    ProgressStyle::with_template("{bar:25} {pos}/{len} {msg} {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn describe<'a>(figures: impl Iterator<Item = (&'a str, f64)>) -> String {
    let one = |(name, figure): (&str, f64)| {
        let digits = if figure.fract() == 0.0 { 0 } else { 4 };
        format!(", {} {figure:.digits$}", name.replace('_', " "))
    };
    figures.map(one).collect()
}

/// A file of JSON lines.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    /// Opens the file at its end, or cut off at `length` bytes.
    fn open_at(path: &Path, length: Option<u64>) -> Result<Self, Error> {
        let mut file = File::options().create(true).truncate(false).write(true).open(path).map_err(Error::io(path))?;
        let found = file.metadata().map_err(Error::io(path))?.len();
        match length {
            Some(length) if found < length => {
                tracing::warn!("{}: {length} bytes were recorded, {found} are left", path.display());
            }
            Some(length) => file.set_len(length).map_err(Error::io(path))?,
            None => {}
        }
        file.seek(SeekFrom::End(0)).map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn write(&mut self, fields: &Fields<'_>) -> Result<(), Error> {
        let mut line = serde_json::to_vec(fields).map_err(|e| Error::io(&self.path)(e.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(Error::io(&self.path))
    }

    fn sync(&mut self) -> Result<u64, Error> {
        self.file.sync_all().and_then(|()| self.file.stream_position()).map_err(Error::io(&self.path))
    }
}

/// A JSON object whose keys keep their order.
#[derive(Debug)]
struct Fields<'a>(Vec<(&'a str, Value<'a>)>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Count(u64),
    /// Null in JSON where it is not finite.
    Number(f64),
    Fields(Fields<'a>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_the_order_of_their_keys_and_exact_numbers() {
        let nested = Fields(vec![("z", Value::Number(0.1 + 0.2)), ("a", Value::Number(f64::NAN))]);
        let fields = Fields(vec![("step", Value::Count(7)), ("evaluation", Value::Fields(nested))]);
        let text = serde_json::to_string(&fields).unwrap();
        assert_eq!(text, r#"{"step":7,"evaluation":{"z":0.30000000000000004,"a":null}}"#);
    }

    #[test]
    fn figures_for_people() {
        for (figure, expect) in [(4043.0, "4043"), (0.5135, "0.5135"), (3.0, "3"), (f64::INFINITY, "inf")] {
            assert_eq!(describe([("bits_per_byte", figure)].into_iter()), format!(", bits per byte {expect}"));
        }
    }
}
