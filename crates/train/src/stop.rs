//! How a signal reaches the loop.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The number of a signal that asks the loop to save and stop; 0 while none came.
///
/// The binary registers [`StopFlag::raw`] with its signal handler
/// (`signal_hook::flag::register_usize(SIGTERM, flag.raw(), SIGTERM as usize)`); the loop reads it after each update.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicUsize>);

impl StopFlag {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a signal handler stores the signal's number in.
    #[must_use]
    pub fn raw(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }

    /// Sets the flag as `signal` would.
    pub fn raise(&self, signal: i32) {
        self.0.store(signal.unsigned_abs() as usize, Ordering::Relaxed);
    }

    /// The signal that came.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            number => i32::try_from(number).ok(),
        }
    }
}
