//! The manifest of a corpus.
#![no_main]

use grulm_corpus::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (_folder, path) = grulm_fuzz::file("manifest.json", bytes);
    let _ = Manifest::open(&path);
});
