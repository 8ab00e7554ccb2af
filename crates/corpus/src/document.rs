//! The unit that flows through preparation.

/// One document: a line, paragraph or file of plain text, or a record of a structured file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it stands: the 1-based line (plain text, JSON Lines: of its first line) or record (CSV, TSV, Parquet).
    pub position: u64,
    /// The text, as read.
    pub text: String,
}

/// The part of a corpus that a document belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What the model learns from.
    Train,
    /// What chooses the best checkpoint.
    Valid,
    /// What is scored once, at the end.
    Test,
}

impl Split {
    /// Every split, in the order of reports.
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    /// The name in files and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}
