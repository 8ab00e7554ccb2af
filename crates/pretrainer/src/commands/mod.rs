//! One file a command.

pub(crate) mod evaluate;
pub(crate) mod find_lr;
pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod prepare;
pub(crate) mod run;
pub(crate) mod train;
