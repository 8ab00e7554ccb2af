//! grulm kernels.
