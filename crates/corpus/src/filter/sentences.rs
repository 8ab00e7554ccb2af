//! Sentences, by the boundaries of Unicode Standard Annex 29.

use unicode_segmentation::UnicodeSegmentation;

/// Counts sentences with a letter or digit, up to `most`.
pub(super) fn count(text: &str, most: usize) -> usize {
    text.unicode_sentences().take(most).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_of_many_scripts() {
        for (text, expect) in [
            ("", 0),
            ("... !", 0),
            ("No end", 1),
            ("One. Two! Three? \"Four.\" Five", 5),
            ("It cost 3.5 dollars, i.e. much. Yes.", 2),
            ("第一句。第二句！第三句？", 3),
            ("राम आया। श्याम गया।", 2),
            ("ماذا؟ نعم. لا", 3),
            ("line\nline", 2),
        ] {
            assert_eq!(count(text, 9), expect, "{text:?}");
        }
        assert_eq!(count("A. B. C.", 2), 2);
    }
}
