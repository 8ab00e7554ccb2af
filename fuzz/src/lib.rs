//! What the targets have in common.

use std::{fs, path::PathBuf, sync::Once};

use tempfile::TempDir;

/// Lets panics unwind to where they are caught, as they do in the programs: libFuzzer's own hook ends the process even for
/// those of libraries that are caught. A panic that nobody catches ends it still.
pub fn catch_as_usual() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| ())));
}

/// A file of these bytes in a folder of its own, which goes with the value.
pub fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    catch_as_usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a temporary file");
    (folder, path)
}
