//! Language identification by whatlang.

use grulm_config::Invalid;
use whatlang::Lang;

use crate::Error;

/// Bytes from the start of a document that decide on its language. Identification is the slowest of all rules, and more
/// text hardly changes what it says.
const SAMPLE: usize = 4 * 1024;

/// The language with an ISO 639-3 code or English name, in any letter case.
///
/// # Errors
///
/// [`Error::Config`] with every language that identification knows, where it does not know this one.
pub(crate) fn parse(name: &str) -> Result<Lang, Error> {
    let wanted = name.trim();
    Lang::all()
        .iter()
        .copied()
        .find(|lang| lang.code().eq_ignore_ascii_case(wanted) || lang.eng_name().eq_ignore_ascii_case(wanted))
        .ok_or_else(|| Invalid::new("corpus.filter.language", name, known()).into())
}

/// Identifies the language of a text and how sure that is, in `0..=1`. `None` for text without letters of a known script.
pub(crate) fn identify(text: &str) -> Option<(Lang, f64)> {
    let end = (0..=SAMPLE.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    whatlang::detect(&text[..end]).map(|info| (info.lang(), info.confidence()))
}

fn known() -> String {
    let mut names: Vec<_> = Lang::all().iter().map(|lang| format!("{} ({})", lang.code(), lang.eng_name())).collect();
    names.sort_unstable();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_codes_and_names() {
        for name in ["eng", "ENG", "English", " english "] {
            assert_eq!(parse(name).unwrap(), Lang::Eng, "{name}");
        }
        assert_eq!(parse("zul").unwrap(), Lang::Zul);
        assert_eq!(parse("Mandarin").unwrap(), Lang::Cmn);
    }

    #[test]
    fn unknown_languages_are_errors_that_list_the_known() {
        for name in ["ewe", "en", "", "klingon"] {
            let message = parse(name).unwrap_err().to_string();
            assert!(message.contains("`corpus.filter.language`"), "{message}");
            assert!(message.contains("eng (English)") && message.contains("zul (Zulu)"), "{message}");
        }
    }

    #[test]
    fn identifies_scripts_and_samples_on_character_boundaries() {
        assert_eq!(identify("12 34 !?"), None);
        let chinese = "这是一个关于语言识别的测试句子。".repeat(2000);
        assert_eq!(identify(&chinese).unwrap().0, Lang::Cmn);
        assert_eq!(identify(&format!("a{chinese}")).unwrap().0, Lang::Cmn);
    }
}
