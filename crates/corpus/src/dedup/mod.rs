//! Duplicate removal in bounded memory.
//!
//! A document gives keys: one of its whole text ([`exact`]), and one for each band of its MinHash signature ([`minhash`]). Keys go to
//! partitioned temporary files ([`spill`]), which are then resolved a partition at a time ([`resolve`]): of documents that share a key,
//! the first in order stays. Memory is one bit a document and the keys of one partition.

mod exact;
mod minhash;
mod resolve;
mod spill;

pub(crate) use exact::{Folded, text_key};
pub(crate) use minhash::MinHash;
pub(crate) use resolve::{Removal, resolve};
pub(crate) use spill::{Entry, Spill, Spilled};
