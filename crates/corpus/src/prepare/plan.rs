//! What a preparation will do: its settings turned once into things that are valid.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use grulm_config::Invalid;
use grulm_durable::digest::sha256;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3Default;

use crate::{
    Cleaner, CorpusConfig, Encoding, Error, Filter, Input, ReadOptions, Settings, Split, Tokenizer, TokenizerConfig,
    inputs, manifest,
};

/// The settings of a preparation.
pub(super) struct Plan<'a> {
    /// `[corpus]`.
    pub(super) corpus: &'a CorpusConfig,
    /// `[tokenizer]`.
    pub(super) tokenizer: &'a TokenizerConfig,
    /// The tokenizer of `tokenizer.file`, opened before any text is read.
    pub(super) given_tokenizer: Option<Tokenizer>,
    /// All files, in the order of reading: training, validation, test.
    pub(super) inputs: Vec<Input>,
    /// How they are read.
    pub(super) options: ReadOptions,
    /// How they are cleaned.
    pub(super) cleaner: Cleaner,
    /// What is dropped.
    pub(super) filter: Filter,
    /// The threads.
    pub(super) pool: ThreadPool,
    /// What the files were when they were found.
    states: Vec<State>,
    /// Which of the files are validation text.
    valid: Range<usize>,
}

impl<'a> Plan<'a> {
    /// Checks the settings and finds the files.
    pub(super) fn new(corpus: &'a CorpusConfig, tokenizer: &'a TokenizerConfig, threads: usize) -> Result<Self, Error> {
        corpus.validate()?;
        tokenizer.validate()?;
        let given_tokenizer = tokenizer.file.as_deref().map(|file| open_tokenizer(file, tokenizer)).transpose()?;
        let valid = inputs_of("corpus.valid", &corpus.valid)?;
        let test = inputs_of("corpus.test", &corpus.test)?;
        let train = train_inputs(corpus, valid.iter().chain(&test))?;
        let valid_range = train.len()..train.len() + valid.len();
        let options = ReadOptions {
            unit: corpus.unit,
            text_field: corpus.text_field.clone(),
            encoding: Encoding::parse("corpus.encoding", &corpus.encoding)?,
        };
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| {
            Invalid::new("run.threads", threads, format!("a number of threads that the system gives ({error})"))
        })?;
        let inputs = [train, valid, test].concat();
        let states = inputs.iter().map(State::of).collect::<Result<_, _>>()?;
        Ok(Self {
            corpus,
            tokenizer,
            given_tokenizer,
            inputs,
            states,
            options,
            cleaner: Cleaner::new(&corpus.clean, corpus.unit, &corpus.text_field, &corpus.encoding)?,
            filter: Filter::new(&corpus.filter)?,
            pool,
            valid: valid_range,
        })
    }

    /// The split of a file that is taken as it is; `None` for a file of `corpus.train`.
    pub(super) fn given(&self, input: usize) -> Option<Split> {
        if input < self.valid.start {
            None
        } else if self.valid.contains(&input) {
            Some(Split::Valid)
        } else {
            Some(Split::Test)
        }
    }

    /// Whether duplicate removal looks at the documents of a file: at those of one that is taken as it is only for train's sake.
    pub(super) fn is_compared(&self, input: usize) -> bool {
        self.given(input).is_none() || self.corpus.dedup.held_out
    }

    /// The settings, as the manifest keeps them.
    pub(super) fn settings(&self) -> Settings {
        Settings { corpus: self.corpus.clone(), tokenizer: self.tokenizer.clone() }
    }

    /// Bytes of all files on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.states.iter().map(|state| state.length).sum()
    }

    /// Checks that the files are what they were: they are hashed and read one after the other, and a corpus must not count as that of text
    /// which it does not hold.
    pub(super) fn check_unchanged(&self) -> Result<(), Error> {
        for (input, before) in self.inputs.iter().zip(&self.states) {
            if State::of(input)? != *before {
                let reason = "changed while it was read; prepare the corpus again when nothing writes to it any more";
                return Err(Error::Mismatch { path: input.path.clone(), reason: reason.into() });
            }
        }
        Ok(())
    }

    /// A hash of all that the corpus depends on: the content of the files and their order, the settings, this program's version. Names
    /// of files do not matter, so a corpus is up to date where its inputs were moved along with the config that names them.
    pub(super) fn fingerprint(&self) -> Result<String, Error> {
        #[derive(Serialize)]
        struct Everything<'a> {
            format: u32,
            program: &'static str,
            corpus: &'a CorpusConfig,
            tokenizer: &'a TokenizerConfig,
            cleaning: String,
            inputs: Vec<(String, String)>,
            tokenizer_file: Option<String>,
        }
        let failed = |error| Error::io(&self.corpus.dir)(error);
        let hash = |(index, input): (usize, &Input)| -> Result<(String, String), Error> {
            let role = format!("{:?} {:?} {:?}", self.given(index), input.format, input.compression);
            let file = File::open(&input.path).map_err(Error::io(&input.path))?;
            Ok((role, content_hash(file).map_err(Error::io(&input.path))?))
        };
        let inputs =
            self.pool.install(|| self.inputs.par_iter().enumerate().map(hash).collect::<Result<Vec<_>, _>>())?;
        // Where the corpus lies and what its inputs are called is no part of it.
        let corpus =
            CorpusConfig { dir: PathBuf::new(), train: vec![], valid: vec![], test: vec![], ..self.corpus.clone() };
        let everything = Everything {
            format: manifest::VERSION,
            program: env!("CARGO_PKG_VERSION"),
            corpus: &corpus,
            tokenizer: &TokenizerConfig { file: None, ..self.tokenizer.clone() },
            cleaning: self.cleaner.hash(),
            inputs,
            tokenizer_file: self
                .given_tokenizer
                .as_ref()
                .map(|given| content_hash(given.json()))
                .transpose()
                .map_err(failed)?,
        };
        let json = serde_json::to_vec(&everything).map_err(|error| failed(error.into()))?;
        Ok(sha256(&json))
    }
}

fn inputs_of(key: &str, patterns: &[String]) -> Result<Vec<Input>, Error> {
    let found = if patterns.is_empty() { Vec::new() } else { inputs(key, patterns)? };
    // Text is read twice, so what can be read once only would hang, or be empty.
    match found.iter().find(|input| !input.path.is_file()) {
        Some(pipe) => Err(Invalid::new(key, &pipe.path, "regular files, since text is read twice").into()),
        None => Ok(found),
    }
}

/// Opens `tokenizer.file`. The specials that stand in text are the file's: other settings would count for nothing.
fn open_tokenizer(file: &Path, config: &TokenizerConfig) -> Result<Tokenizer, Error> {
    Invalid::check("tokenizer.file", file, file.is_file(), "a tokenizer.json that exists")?;
    let tokenizer = Tokenizer::open(file)?;
    let own: BTreeSet<&str> = tokenizer.in_text().iter().map(|special| special.text()).collect();
    let asked: BTreeSet<&str> = config.specials_in_text.iter().map(String::as_str).collect();
    if asked.is_empty() || asked == own {
        return Ok(tokenizer);
    }
    let allowed = format!("none, or what `tokenizer.file` = {file:?} says: {own:?}");
    Err(Invalid::new("tokenizer.specials_in_text", &config.specials_in_text, allowed).into())
}

/// The files of `corpus.train`, without those that are held out and those of the corpus folder itself: both lie in the
/// folder that `corpus.train` names often enough.
fn train_inputs<'a>(corpus: &CorpusConfig, held_out: impl Iterator<Item = &'a Input>) -> Result<Vec<Input>, Error> {
    let whole = |path: &Path| fs::canonicalize(path).map_err(Error::io(path));
    let held_out = held_out.map(|input| whole(&input.path)).collect::<Result<HashSet<_>, _>>()?;
    let dir = fs::canonicalize(&corpus.dir).ok();
    let mut train = Vec::new();
    for input in inputs_of("corpus.train", &corpus.train)? {
        let path = whole(&input.path)?;
        if held_out.contains(&path) {
            tracing::info!("{} is held out, so it is left out of train", input.path.display());
        } else if dir.as_ref().is_some_and(|dir| path.starts_with(dir)) {
            tracing::info!("{} lies in the corpus folder, so it is left out of train", input.path.display());
        } else {
            train.push(input);
        }
    }
    if train.is_empty() {
        let allowed = "at least one file that is neither in `corpus.valid` or `corpus.test` nor inside of `corpus.dir`";
        return Err(Invalid::new("corpus.train", &corpus.train, allowed).into());
    }
    Ok(train)
}

/// What tells whether a file was written to.
#[derive(Debug, PartialEq, Eq)]
struct State {
    length: u64,
    /// None where the file system knows of no times.
    modified: Option<SystemTime>,
}

impl State {
    fn of(input: &Input) -> Result<Self, Error> {
        let found = fs::metadata(&input.path).map_err(Error::io(&input.path))?;
        Ok(Self { length: found.len(), modified: found.modified().ok() })
    }
}

fn content_hash(mut content: impl Read) -> io::Result<String> {
    let mut hasher = Xxh3Default::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(format!("{:032x}", hasher.digest128())),
            n => hasher.update(&buffer[..n]),
        }
    }
}
