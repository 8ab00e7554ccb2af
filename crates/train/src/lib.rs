//! grulm train.
