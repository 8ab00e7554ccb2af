//! The binary, on a small corpus in a folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A working folder with the config `c.toml` of a tiny model.
pub(crate) struct Workplace(TempDir);

impl Workplace {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let text = fs::read_to_string(root().join("tests/data/corpus/village.txt")).unwrap();
        let end = text.char_indices().nth(20_000).map_or(text.len(), |(index, _)| index);
        place.write("text.txt", &text[..end]);
        place.write("c.toml", CONFIG);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The binary with these arguments, split at spaces.
    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pretrainer"));
        command.args(args.split_whitespace()).current_dir(self.0.path()).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &str) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs what must succeed; returns standard output.
    pub(crate) fn succeed(&self, args: &str) -> String {
        let ran = self.run(args);
        assert_eq!(ran.status, Some(0), "{args}: {}", ran.stderr);
        ran.stdout
    }
}

/// How the binary ended.
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

const CONFIG: &str = r#"
[run]
dir = "model"
seed = 7
device = "cpu"
threads = 1

[corpus]
dir = "corpus"
train = ["text.txt"]
unit = "paragraph"
valid_fraction = 0.1
test_fraction = 0.1

[tokenizer]
vocab_size = 400

[model]
embedding = 16
hidden = 24

[train]
steps = 10
batch_size = 4
sequence_length = 16
schedule = "linear"
precision = "fp32"
log_every = 3
evaluate_every = 4
checkpoint_every = 4
"#;
