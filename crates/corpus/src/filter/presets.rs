//! Named sets of rules.

use crate::{FilterConfig, Preset};

/// The rules of the preset where a rule is not set.
pub(super) fn fill_in(config: &FilterConfig) -> FilterConfig {
    let preset = config.preset.map(rules).unwrap_or_default();
    FilterConfig {
        preset: config.preset,
        min_words: config.min_words.or(preset.min_words),
        max_words: config.max_words.or(preset.max_words),
        min_chars: config.min_chars.or(preset.min_chars),
        max_chars: config.max_chars.or(preset.max_chars),
        min_mean_word_length: config.min_mean_word_length.or(preset.min_mean_word_length),
        max_mean_word_length: config.max_mean_word_length.or(preset.max_mean_word_length),
        max_symbol_ratio: config.max_symbol_ratio.or(preset.max_symbol_ratio),
        min_alphabetic_ratio: config.min_alphabetic_ratio.or(preset.min_alphabetic_ratio),
        max_garbage_ratio: config.max_garbage_ratio.or(preset.max_garbage_ratio),
        min_stop_words: config.min_stop_words.or(preset.min_stop_words),
        max_bullet_lines: config.max_bullet_lines.or(preset.max_bullet_lines),
        max_ellipsis_lines: config.max_ellipsis_lines.or(preset.max_ellipsis_lines),
        max_duplicate_lines: config.max_duplicate_lines.or(preset.max_duplicate_lines),
        max_duplicate_text: config.max_duplicate_text.or(preset.max_duplicate_text),
        repetition: config.repetition.or(preset.repetition),
        terminal_punctuation: config.terminal_punctuation.or(preset.terminal_punctuation),
        min_line_words: config.min_line_words.or(preset.min_line_words),
        min_sentences: config.min_sentences.or(preset.min_sentences),
        boilerplate: config.boilerplate.or(preset.boilerplate),
        language: config.language.clone().or(preset.language),
        min_language_confidence: config.min_language_confidence.or(preset.min_language_confidence),
    }
}

fn rules(preset: Preset) -> FilterConfig {
    match preset {
        // Bounds far from anything that people write: empty, binary, number tables, encoded blobs, one phrase over and over.
        Preset::Basic => FilterConfig {
            min_chars: Some(1),
            max_garbage_ratio: Some(0.25),
            max_mean_word_length: Some(50.0),
            min_alphabetic_ratio: Some(0.1),
            max_duplicate_text: Some(0.5),
            ..Default::default()
        },
        // arXiv 2112.11446, section A.1.1.
        Preset::Gopher => FilterConfig {
            min_words: Some(50),
            max_words: Some(100_000),
            min_mean_word_length: Some(3.0),
            max_mean_word_length: Some(10.0),
            max_symbol_ratio: Some(0.1),
            max_bullet_lines: Some(0.9),
            max_ellipsis_lines: Some(0.3),
            min_alphabetic_ratio: Some(0.8),
            min_stop_words: Some(2),
            max_duplicate_lines: Some(0.3),
            repetition: Some(true),
            ..Default::default()
        },
        // arXiv 1910.10683, section 2.2.
        Preset::C4 => FilterConfig {
            terminal_punctuation: Some(true),
            min_line_words: Some(3),
            min_sentences: Some(5),
            boilerplate: Some(true),
            language: Some("eng".into()),
            // The paper uses langdetect, whose 0.99 says something else than whatlang's figure.
            min_language_confidence: None,
            ..Default::default()
        },
    }
}
