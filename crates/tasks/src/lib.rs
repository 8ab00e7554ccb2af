//! grulm tasks.
