//! White space, as the scripts that define the figures see it.

/// The words between white space: what Python's `str.split` gives, which also splits at the information separators of
/// ASCII.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_white_space).filter(|word| !word.is_empty())
}

/// Whether Python's `str.isspace` holds.
pub(crate) fn is_white_space(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\x1C'..='\x1F')
}
