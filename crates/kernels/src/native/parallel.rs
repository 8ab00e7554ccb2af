//! Work on libtorch's threads: a second pool would fight with it for the cores.

#[cfg(not(grulm_std_threads))]
use std::ffi::c_void;
use std::{
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
#[cfg(not(grulm_std_threads))]
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

/// The same on threads whose beginnings and ends a thread sanitizer sees; those of OpenMP it does not.
#[cfg(grulm_std_threads)]
pub(crate) fn parallel<F: Fn(Range<usize>) + Sync>(items: usize, body: &F) {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..items).map(|item| scope.spawn(move || body(item..item + 1))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    });
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a thread wrote before the barrier, every other one reads behind it, however items are spread over threads.
    #[test]
    fn what_was_written_before_the_barrier_is_read_behind_it() {
        const ROUNDS: usize = 200;
        for shares in [vec![1], vec![1, 1], vec![3, 1], vec![1, 2, 1, 1]] {
            let items = shares.iter().sum();
            let barrier = Barrier::new(items);
            // Two slots an item, by turns: one is written while the other may still be read.
            let slots: Vec<AtomicUsize> = (0..2 * items).map(|_| AtomicUsize::new(0)).collect();
            std::thread::scope(|scope| {
                let mut first = 0;
                for own in shares {
                    let (range, barrier, slots) = (first..first + own, &barrier, &slots);
                    first += own;
                    scope.spawn(move || {
                        for round in 1..=ROUNDS {
                            for item in range.clone() {
                                slots[2 * item + round % 2].store(round, Ordering::Relaxed);
                            }
                            barrier.wait(own);
                            let seen = slots.iter().skip(round % 2).step_by(2);
                            assert!(seen.map(|slot| slot.load(Ordering::Relaxed)).all(|slot| slot == round));
                        }
                    });
                }
            });
        }
    }

    #[test]
    fn parts_are_disjoint_and_complete() {
        for (count, items) in [(0, 1), (1, 1), (7, 3), (3, 7), (41, 2), (8, 8)] {
            let parts: Vec<usize> = (0..items).flat_map(|item| share(count, items, &(item..item + 1))).collect();
            assert_eq!(parts, (0..count).collect::<Vec<_>>(), "{count} over {items}");
        }
    }
}
