//! Hashes that tell whether files belong together.

use std::{fs::File, io::Write, path::Path};

use sha2::{Digest, Sha256};

use crate::Error;

/// The digest in lower-case hexadecimal.
pub(crate) fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a file, in lower-case hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn sha256_file(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut hasher = HashWriter(Sha256::new());
    std::io::copy(&mut file, &mut hasher).map_err(Error::io(path))?;
    Ok(hex(hasher.0))
}

struct HashWriter(Sha256);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
