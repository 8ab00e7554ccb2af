//! grulm model.
