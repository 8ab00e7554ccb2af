//! A binary (`crate::PROGRAM`), in a folder of its own.

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

/// A working folder.
pub(crate) struct Workplace(TempDir);

impl Workplace {
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
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
        let mut command = Command::new(crate::PROGRAM);
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
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked at"), "{stderr}");
        Self { status: output.status.code(), stdout: String::from_utf8(output.stdout).unwrap(), stderr }
    }
}
