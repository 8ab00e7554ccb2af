//! Figures of merit, counted as the literature counts them.
//!
//! - Classification: [`Confusion`]; [`temperature`] and [`threshold`] are fitted on validation.
//! - Translation: [`Bleu`] and [`ChrF`], which agree with sacreBLEU.
//! - Question answering: [`AnswerScore`].
//!
//! ```
//! use grulm_metrics::{Bleu, BleuTokenizer, Confusion};
//!
//! let mut confusion = Confusion::new(2);
//! for (gold, predicted) in [(0, 0), (0, 0), (1, 1), (1, 0)] {
//!     confusion.add(gold, predicted);
//! }
//! assert_eq!(confusion.accuracy(), 0.75);
//!
//! let mut bleu = Bleu::new(BleuTokenizer::V13a);
//! bleu.add("The cat sat on a mat.", "The cat sat on the mat.");
//! assert_eq!(format!("{:.2}", bleu.score()), "48.89");
//! ```

mod answers;
mod bleu;
mod calibration;
mod chrf;
mod confusion;
mod ngrams;
mod tokenizer;
#[cfg(test)]
mod translation_tests;
mod words;

pub use answers::{AnswerScore, Units};
pub use bleu::Bleu;
pub use calibration::{mixture, mixture_share, temperature, threshold};
pub use chrf::ChrF;
pub use confusion::{ClassScore, Confusion};
pub use tokenizer::BleuTokenizer;

/// The version of sacreBLEU that the figures of translation were compared with.
const SACREBLEU: &str = "2.6.0";
