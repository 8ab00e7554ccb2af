//! What the command lines share: arguments, logging, results, signals, the run that a folder holds, exit status.
//!
//! The binaries are glue over this crate and the libraries below it. A command returns how it ended, or an error that knows
//! by its type which exit status it means:
//!
//! ```
//! use grulm_cli::{exit::Ending, gate::{self, Gate}};
//!
//! fn evaluate(gates: &[Gate]) -> anyhow::Result<Ending> {
//!     let figures = [("accuracy".to_owned(), 0.86)];
//!     gate::check_names(gates, &figures)?;
//!     gate::check(gates, &figures)?;
//!     Ok(Ending::Done)
//! }
//!
//! assert_eq!(evaluate(&["accuracy<0.85".parse()?])?, Ending::Done);
//!
//! let error = evaluate(&["accuracy<0.9".parse()?]).unwrap_err();
//! assert_eq!(error.to_string(), "--fail-if accuracy<0.9 holds: accuracy is 0.86");
//!
//! let error = evaluate(&["f1<0.9".parse()?]).unwrap_err();
//! assert_eq!(error.to_string(), "--fail-if f1<0.9: no figure \"f1\"; allowed: accuracy");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod args;
pub mod compute;
pub mod exit;
pub mod files;
pub mod gate;
pub mod inspection;
pub mod logging;
pub mod output;
pub mod previous;
pub mod rounding;
pub mod sections;
pub mod signals;
pub mod stage;
pub mod stdin;
