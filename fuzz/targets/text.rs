//! Files of text, in every format, encoding and compression; the first two bytes choose them. What is read is cleaned.
#![no_main]

use grulm_corpus::{CleanConfig, Cleaner, Encoding, ReadOptions, Unit, documents, inputs};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 8] = ["a.txt", "a.jsonl", "a.csv", "a.tsv", "a.parquet", "a.txt.gz", "a.jsonl.zst", "a.txt.zst"];
const ENCODINGS: [&str; 8] =
    ["utf-8", "auto", "utf-16le", "windows-1252", "gb18030", "shift_jis", "euc-kr", "iso-2022-jp"];

fuzz_target!(|bytes: &[u8]| {
    let &[name, how, ref bytes @ ..] = bytes else { return };
    let (_folder, path) = grulm_fuzz::file(NAMES[usize::from(name) % NAMES.len()], bytes);
    let label = ENCODINGS[usize::from(how) % ENCODINGS.len()];
    let Ok(encoding) = Encoding::parse("corpus.encoding", label) else { return };
    let unit = [Unit::Line, Unit::Paragraph, Unit::File][usize::from(how >> 3) % 3];
    let options = ReadOptions { unit, text_field: "text".into(), encoding };
    let config =
        CleanConfig { strip_html: how & 64 != 0, remove_punctuation: how & 128 != 0, ..CleanConfig::default() };
    // HTML is read once: what it leaves may look like HTML.
    let once = CleanConfig { strip_html: false, ..config.clone() };
    let cleaner = |config| Cleaner::new(config, unit, &options.text_field, label);
    let (Ok(cleaner), Ok(again)) = (cleaner(&config), cleaner(&once)) else { return };
    let Ok(inputs) = inputs("corpus.train", &[path.display().to_string()]) else { return };
    for input in inputs {
        for document in documents(&input, &options).into_iter().flatten() {
            let Ok(document) = document else { return };
            let clean = cleaner.clean(&document.text);
            assert_eq!(again.clean(&clean), clean, "clean text stays as it is");
        }
    }
});
