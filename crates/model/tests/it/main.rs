//! The model against PyTorch, its dropouts, and files that do not fit.

mod dropouts;
mod files;
mod golden;
