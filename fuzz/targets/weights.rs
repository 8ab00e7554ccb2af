//! A file of weights.
#![no_main]

use grulm_model::load_tensors;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (_folder, path) = grulm_fuzz::file("model.safetensors", bytes);
    if let Ok(tensors) = load_tensors(&path) {
        let held: usize = tensors.iter().map(|(_, tensor)| tensor.numel()).sum();
        assert!(held <= bytes.len(), "{held} numbers from {} bytes", bytes.len());
    }
});
