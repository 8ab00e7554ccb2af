//! SIGINT and SIGTERM while a run is training.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;
use grulm_train::StopFlag;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// Turns signals into a request to save and stop, until it is dropped; then they end the program again. A process has one, since
/// the handlers of one that was dropped come before those of a later one.
#[derive(Debug)]
pub struct Signals {
    stop: StopFlag,
    disarmed: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to listen. A second SIGINT ends the program at once.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub fn listen() -> anyhow::Result<Self> {
        let (stop, disarmed) = (StopFlag::new(), Arc::new(AtomicBool::new(false)));
        let interrupted = Arc::new(AtomicBool::new(false));
        let register = || -> std::io::Result<()> {
            // Actions run in the order in which they were registered.
            flag::register_conditional_default(SIGINT, Arc::clone(&interrupted))?;
            flag::register(SIGINT, interrupted)?;
            for signal in [SIGINT, SIGTERM] {
                flag::register_conditional_default(signal, Arc::clone(&disarmed))?;
                flag::register_usize(signal, stop.raw(), signal.unsigned_abs() as usize)?;
            }
            Ok(())
        };
        register().context("signal handlers")?;
        Ok(Self { stop, disarmed })
    }

    /// What the training loop watches.
    pub fn stop(&self) -> &StopFlag {
        &self.stop
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.disarmed.store(true, Ordering::Relaxed);
    }
}
