//! What goes wrong around the programs: disks that are full, folders that nobody may write to, bytes that change.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::program::{Ran, Workplace};

/// What a file may turn into.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Damage {
    /// All from here on is gone.
    Cut,
    /// One byte here is another.
    Flip,
}

impl Damage {
    /// Does it to a file, at so many tenths of its length.
    pub(crate) fn at_tenth(self, path: &Path, tenth: usize) {
        let mut bytes = fs::read(path).unwrap();
        let at = bytes.len() * tenth / 10;
        match self {
            Self::Cut => bytes.truncate(at),
            Self::Flip => bytes[at] ^= 0x20,
        }
        fs::write(path, bytes).unwrap();
    }
}

/// Every file and folder below `folder` by its path, with its bytes; a folder has none.
pub(crate) fn everything(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                found.insert(name, Vec::new());
                folders.push(path);
            } else {
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

impl Workplace {
    /// Runs the binary where no file can grow beyond `blocks` of 512 bytes: writing more fails, as on a full disk.
    pub(crate) fn run_short_of_disk(&self, blocks: u64, args: &str) -> Ran {
        // A signal that is ignored stays so in the program, which then gets an error instead.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        self.through_shell(Command::new("sh").args(["-c", &script]), args)
    }

    /// Runs the binary where the working folder is on a read-only file system; `None` where the system does not let this
    /// process mount one.
    pub(crate) fn run_read_only(&self, args: &str) -> Option<Ran> {
        let mount = "mount --bind . . && mount -o remount,bind,ro . && cd \"$PWD\"";
        let unshared = |script: &str| {
            let mut command = Command::new("unshare");
            command.args(["-rm", "sh", "-c", script]).current_dir(self.path(""));
            command
        };
        let possible = unshared(mount).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !possible {
            eprintln!("skipped: nothing can be mounted here");
            return None;
        }
        Some(self.through_shell(&mut unshared(&format!("{mount} && exec \"$0\" \"$@\"")), args))
    }

    /// Runs the binary by a command that takes it and its arguments.
    pub(crate) fn through_shell(&self, command: &mut Command, args: &str) -> Ran {
        command.arg(crate::PROGRAM).args(args.split_whitespace()).current_dir(self.path("")).env_remove("RUST_LOG");
        Ran::of(command.stdin(Stdio::null()).output().unwrap())
    }

    /// [`everything`] in a folder of this one.
    pub(crate) fn everything(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        everything(&self.path(folder))
    }

    /// Runs what must fail with this status and say so; nothing may change but the log, and who holds the lock.
    #[track_caller]
    pub(crate) fn refuse(&self, args: &str, status: i32, says: &[&str]) {
        let settled = || {
            let mut found = self.everything("");
            found.retain(|name, _| !name.ends_with("log.txt") && !name.ends_with("run.lock"));
            found
        };
        let before = settled();
        let ran = self.run(args);
        ran.failed(args, status, says);
        let after = settled();
        let differing = |name: &&String| before.get(*name) != after.get(*name);
        let differ: Vec<_> = before.keys().chain(after.keys()).filter(differing).collect();
        assert!(differ.is_empty(), "{args}: {differ:?} changed: {}", ran.stderr);
    }
}

impl Ran {
    /// It ended with this status, wrote no result, and said all of this on standard error.
    #[track_caller]
    pub(crate) fn failed(&self, args: &str, status: i32, says: &[&str]) {
        assert_eq!(self.status, Some(status), "{args}: {}", self.stderr);
        assert!(self.stdout.is_empty(), "{args}: {}", self.stdout);
        for part in says {
            assert!(self.stderr.contains(part), "{args}: {} lacks {part:?}", self.stderr);
        }
    }
}
