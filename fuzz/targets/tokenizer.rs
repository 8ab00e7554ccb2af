//! A `tokenizer.json`, which then encodes and decodes.
#![no_main]

use grulm_corpus::Tokenizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (_folder, path) = grulm_fuzz::file("tokenizer.json", bytes);
    let Ok(tokenizer) = Tokenizer::open(&path) else { return };
    let mut ids = Vec::new();
    if tokenizer.encode("The river 河水 <eos> a\u{301}\0", &mut ids).is_ok() {
        assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
        let _ = tokenizer.decode(&ids);
    }
});
