//! A tiny recurrent model of hashed symbols, and short ways to train it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use grulm_model::{Params, Site, WeightFormat};
use grulm_tasks::{Error, Loss, Scores, Step, Task, bundle::Provenance};
use grulm_train::{LayerSettings, Options, Outcome, RunFolder, Start, StopFlag, TrainConfig, train};
use tch::{Device, Kind, Reduction, Tensor};

const SYMBOLS: i64 = 12;
const WIDTH: i64 = 8;

/// Predicts `(3 * x + 1) % SYMBOLS` from `x`, with a state that is carried from step to step.
pub(crate) struct Toy {
    pub(crate) params: Params,
    pub(crate) carry: Tensor,
    pub(crate) rows: u64,
    /// Whether the carried state is used.
    pub(crate) carries: bool,
    /// Whether there is validation data.
    pub(crate) validates: bool,
    /// The loss of this step is not a number, the first `nans` times that it is made.
    pub(crate) nan_at: Option<u64>,
    pub(crate) nans: u64,
    /// This step sees a signal come.
    pub(crate) signal_at: Option<(u64, StopFlag)>,
    /// Each step takes so long.
    pub(crate) delay: Duration,
    /// Calls of `evaluate`.
    pub(crate) evaluations: u64,
}

impl Toy {
    pub(crate) fn new(rows: u64) -> Self {
        Self::on(rows, Device::Cpu)
    }

    pub(crate) fn on(rows: u64, device: Device) -> Self {
        let mut params = Params::new(1, device);
        let _ = params.add("embedding", &[SYMBOLS, WIDTH], 0.5, 0);
        let _ = params.add("recurrent", &[WIDTH, WIDTH], 0.3, 1);
        let _ = params.add("output", &[SYMBOLS, WIDTH], 0.5, 2);
        let _ = params.add("bias", &[SYMBOLS], 0.0, 2);
        Self {
            params,
            carry: Tensor::zeros([rows as i64, WIDTH], (Kind::Float, device)),
            rows,
            carries: true,
            validates: true,
            nan_at: None,
            nans: u64::MAX,
            signal_at: None,
            delay: Duration::ZERO,
            evaluations: 0,
        }
    }

    fn logits(&self, symbols: &Tensor, carry: &Tensor) -> (Tensor, Tensor) {
        let weights: Vec<_> = self.params.iter().map(|param| &param.tensor).collect();
        let input = weights[0].index_select(0, symbols);
        let state = (input + carry.matmul(&weights[1].tr())).tanh();
        (state.matmul(&weights[2].tr()) + weights[3], state)
    }

    pub(crate) fn weights(&self) -> Vec<f32> {
        let flat: Vec<_> = self.params.iter().map(|param| param.tensor.detach().flatten(0, -1)).collect();
        Vec::try_from(Tensor::cat(&flat, 0)).unwrap()
    }
}

fn symbols(site: Site, rows: std::ops::Range<u64>, device: Device) -> (Tensor, Tensor) {
    let x: Vec<i64> = rows.map(|row| (site.at(row).bits(0) % SYMBOLS as u64) as i64).collect();
    let y: Vec<i64> = x.iter().map(|x| (3 * x + 1) % SYMBOLS).collect();
    (Tensor::from_slice(&x).to_device(device), Tensor::from_slice(&y).to_device(device))
}

impl Task for Toy {
    fn params(&self) -> &Params {
        &self.params
    }

    fn step(&mut self, step: Step) -> Result<Loss, Error> {
        std::thread::sleep(self.delay);
        if let Some((at, stop)) = &self.signal_at
            && *at == step.step
        {
            stop.raise(15);
        }
        let first = step.batch() * self.rows;
        let (x, y) = symbols(Site::new(step.seed), first..first + self.rows, self.params.device());
        let (logits, state) = self.logits(&x, &self.carry);
        if self.carries {
            self.carry = state.detach();
        }
        let mut losses = logits.cross_entropy_loss::<Tensor>(&y, None, Reduction::None, -100, 0.0);
        if self.nan_at == Some(step.step) && self.nans > 0 {
            self.nans -= 1;
            losses *= f64::NAN;
        }
        // Every fifth row does not count, so that batches differ in their number of predictions.
        let counted: Vec<i64> =
            (0..self.rows).filter(|row| !(first + row).is_multiple_of(5)).map(|row| row as i64).collect();
        let counted_rows = Tensor::from_slice(&counted).to_device(self.params.device());
        let sum = losses.index_select(0, &counted_rows).sum(Kind::Float);
        Ok(Loss { sum, count: counted.len() as u64, penalty: None })
    }

    fn batches_per_epoch(&self) -> u64 {
        10
    }

    fn figures(&self, mean_loss: f64) -> Vec<(&'static str, f64)> {
        vec![("perplexity", mean_loss.exp())]
    }

    fn evaluate(&mut self) -> Result<Option<Scores>, Error> {
        self.evaluations += 1;
        if !self.validates {
            return Ok(None);
        }
        let (x, y) = symbols(Site::new(99), 0..64, self.params.device());
        let carry = Tensor::zeros([64, WIDTH], (Kind::Float, self.params.device()));
        let loss = tch::no_grad(|| self.logits(&x, &carry).0.cross_entropy_for_logits(&y));
        let nll = f64::try_from(&loss)?;
        Ok(Some(Scores { criterion: nll, figures: vec![("nll".into(), nll), ("perplexity".into(), nll.exp())] }))
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        vec![("carry".into(), self.carry.shallow_clone())]
    }

    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<(), Error> {
        self.carry.copy_(&state[0].1);
        Ok(())
    }

    fn save_bundle(&self, folder: &Path, provenance: &Provenance) -> Result<(), Error> {
        self.params.save(&folder.join("model.safetensors"), WeightFormat::Fp32)?;
        let path = folder.join("provenance.json");
        fs::write(&path, serde_json::to_vec(provenance).unwrap()).map_err(Error::io(&path))
    }
}

/// A run of the toy in a folder of its own.
pub(crate) struct Run {
    _parent: tempfile::TempDir,
    pub(crate) dir: PathBuf,
    pub(crate) config: TrainConfig,
    pub(crate) layers: LayerSettings,
}

impl Run {
    pub(crate) fn new(config: TrainConfig) -> Self {
        Self::with_layers(config, LayerSettings::default())
    }

    pub(crate) fn with_layers(config: TrainConfig, layers: LayerSettings) -> Self {
        let parent = tempfile::tempdir().unwrap();
        Self { dir: parent.path().join("run"), _parent: parent, config, layers }
    }

    pub(crate) fn train(&self, toy: &mut Toy, start: Start) -> Result<Outcome, grulm_train::Error> {
        self.train_with(toy, start, &StopFlag::new())
    }

    pub(crate) fn train_with(
        &self,
        toy: &mut Toy,
        start: Start,
        stop: &StopFlag,
    ) -> Result<Outcome, grulm_train::Error> {
        let folder = RunFolder::open(&self.dir, start, "[train]\n")?;
        let options = Options {
            seed: 7,
            stage: 0,
            config: &self.config,
            layers: self.layers,
            provenance: Provenance { grulm: "0".into(), ..Provenance::default() },
            stop,
            progress: false,
        };
        train(toy, &folder, &options)
    }

    /// Trains a new toy afresh and returns it.
    pub(crate) fn fresh(&self) -> Toy {
        let mut toy = Toy::new(16);
        self.train(&mut toy, Start::Fresh).unwrap();
        toy
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.dir.join(file)).unwrap()
    }

    pub(crate) fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.dir.join(file)).unwrap()
    }

    pub(crate) fn state(&self, step: u64) -> grulm_train::TrainState {
        serde_json::from_str(&self.read(&format!("checkpoints/step-{step:07}/state.json"))).unwrap()
    }

    /// Names in `checkpoints/`, sorted.
    pub(crate) fn checkpoints(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.dir.join("checkpoints"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Ten steps with a line every three, so that windows and checkpoints do not fall together.
pub(crate) fn ten_steps() -> TrainConfig {
    TrainConfig {
        steps: Some(10),
        learning_rate: 0.05,
        log_every: 3,
        evaluate_every: Some(4),
        checkpoint_every: 5,
        keep: 10,
        ..TrainConfig::default()
    }
}
