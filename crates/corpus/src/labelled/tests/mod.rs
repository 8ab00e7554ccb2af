mod real_data;
mod rows;

use std::path::{Path, PathBuf};

/// A file of the public data, where it is there.
fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data").join(name);
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
        return None;
    }
    Some(path)
}

/// Checks that reading failed with a message that has all of `parts` in it.
#[track_caller]
fn check_error<T: std::fmt::Debug>(result: Result<T, crate::Error>, parts: &[&str]) {
    let message = result.expect_err("an error").to_string();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}
