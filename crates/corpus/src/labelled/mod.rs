//! Files of examples to learn a task from, or to apply one to.
//!
//! Rows of JSON Lines, CSV and TSV stream: one is in memory at a time.
//!
//! ```
//! use grulm_corpus::Encoding;
//! use grulm_corpus::labelled::{Fields, Labels, open};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("reviews.csv");
//! std::fs::write(&path, "id,text,label\n7,\"Fine, really\",pos\n8,Dull,neg\n")?;
//!
//! let mut rows = open(&path, &Fields::default(), Labels::Required, Encoding::UTF_8)?;
//! let row = rows.next().ok_or("no row")??;
//! assert_eq!((row.number, row.text.as_str(), row.label.as_deref()), (1, "Fine, really", Some("pos")));
//! assert_eq!(serde_json::to_string(&row.record)?, r#"{"id":"7","text":"Fine, really","label":"pos"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod pairs;
mod questions;
mod records;
mod rows;
#[cfg(test)]
mod tests;

pub use crate::read::Record;
pub use pairs::{Pair, PairFields, Pairs, open_pairs, open_parallel};
pub use questions::{Answer, Question, Questions, open_questions, questions_from_reader};
pub use records::{is_named_as_rows, warn_of_replaced};
pub use rows::{Fields, Labels, Row, Rows, from_reader, lines_from_reader, open, open_lines};
