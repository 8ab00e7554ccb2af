//! A shard of tokens.
#![no_main]

use grulm_corpus::Shard;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (_folder, path) = grulm_fuzz::file("train-00000.bin", bytes);
    if let Ok(shard) = Shard::open(&path) {
        assert!(shard.len() <= bytes.len());
        assert_eq!(shard.tokens(0..shard.len()).count(), shard.len());
    }
});
