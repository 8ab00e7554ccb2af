//! Work on libtorch's threads: a second pool would fight with it for the cores.

use std::{
    ffi::c_void,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::bridge;

/// The number of libtorch's threads.
pub(crate) fn threads() -> usize {
    // SAFETY: no operands.
    unsafe { bridge::grulm_threads() }.max(1)
}

/// Calls `body` with parts of `0..items`, each on a thread of its own, at most as many as libtorch has; returns when all are
/// done.
pub(crate) fn parallel<F: Fn(Range<usize>) + Sync>(items: usize, body: &F) {
    unsafe extern "C" fn call<F: Fn(Range<usize>) + Sync>(body: *const c_void, begin: usize, end: usize) {
        // SAFETY: `body` is the `F` below, which outlives the call.
        unsafe { (*body.cast::<F>())(begin..end) }
    }
    if items == 0 {
        return;
    }
    // SAFETY: `call` gets back what it takes; the bridge returns when every call has.
    unsafe { bridge::grulm_parallel(items, call::<F>, std::ptr::from_ref(body).cast()) }
}

/// Parts of `0..count`, one for each of `items`, as even as they can be.
pub(crate) fn share(count: usize, items: usize, own: &Range<usize>) -> Range<usize> {
    count * own.start / items..count * own.end / items
}

/// Where threads wait for each other. Each brings the items that it works on, so that it opens whatever the number of
/// threads is that share them.
pub(crate) struct Barrier {
    items: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
}

/// Looks before a thread that waits gives its core away: others may have more threads than there are cores.
const SPINS: u32 = 4096;

impl Barrier {
    pub(crate) fn new(items: usize) -> Self {
        Self { items, arrived: AtomicUsize::new(0), round: AtomicUsize::new(0) }
    }

    /// Returns when all items have come.
    pub(crate) fn wait(&self, own: usize) {
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(own, Ordering::AcqRel) + own == self.items {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut looks = 0;
        while self.round.load(Ordering::Acquire) == round {
            looks += 1;
            if looks < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}
