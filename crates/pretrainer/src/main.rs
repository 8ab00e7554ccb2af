//! Pretrains GRU language models.
fn main() {}
