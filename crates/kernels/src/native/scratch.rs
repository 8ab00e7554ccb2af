//! Memory that kernels need while they run, kept for the next one: pages that the system hands out anew for every step
//! would have to be cleared every time.

use std::{
    alloc::{Layout, alloc, dealloc},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr::NonNull,
    sync::{Mutex, PoisonError},
};

/// Words of 32 bits, not initialised, at an address that is a multiple of 64.
pub(crate) struct Scratch {
    start: NonNull<u32>,
    words: usize,
}

// SAFETY: the memory belongs to this value alone.
unsafe impl Send for Scratch {}
// SAFETY: a shared reference gives pointers, and only dereferencing those, which is unsafe, touches the memory.
unsafe impl Sync for Scratch {}

/// What is not in use.
static POOL: Mutex<Vec<Scratch>> = Mutex::new(Vec::new());
/// Pieces that are kept at most.
const KEPT: usize = 24;
/// Bytes of a large page. What reads many megabytes once waits for the addresses of small ones.
const LARGE_PAGE: usize = 1 << 21;

/// What [`Scratch::new`] unwinds with.
struct OutOfMemory;

/// Runs `kernel`; none where there was no memory for it, and what it has written is of no use.
pub(crate) fn within_memory<R>(kernel: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(kernel)) {
        Ok(result) => Some(result),
        Err(payload) if payload.is::<OutOfMemory>() => None,
        Err(payload) => resume_unwind(payload),
    }
}

impl Scratch {
    /// At least `words` words: a piece that was used before, where one is neither too small nor four times too large. Where
    /// there is no memory, it unwinds to [`within_memory`], without a message.
    pub(crate) fn new(words: usize) -> Self {
        let words = words.max(64);
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |scratch: &Scratch| scratch.words >= words && scratch.words / 4 <= words;
        let best = pool.iter().enumerate().filter(|(_, s)| fits(s)).min_by_key(|(_, s)| s.words).map(|(i, _)| i);
        if let Some(best) = best {
            return pool.remove(best);
        }
        drop(pool);
        let layout = layout(words);
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start.cast()) else { resume_unwind(Box::new(OutOfMemory)) };
        ask_for_large_pages(start, layout);
        Self { start, words }
    }

    /// The same, with every word zero.
    pub(crate) fn zeros(words: usize) -> Self {
        let mut scratch = Self::new(words);
        scratch.clear();
        scratch
    }

    /// Makes every word zero.
    pub(crate) fn clear(&mut self) {
        // SAFETY: this is what the value has, and nobody else has it.
        unsafe { std::ptr::write_bytes(self.start.as_ptr(), 0, self.words) }
    }

    pub(crate) fn words(&self) -> *mut u32 {
        self.start.as_ptr()
    }

    pub(crate) fn floats(&self) -> *mut f32 {
        self.start.as_ptr().cast()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        pool.push(Self { start: self.start, words: self.words });
        if pool.len() <= KEPT {
            return;
        }
        // The one that was not used for longest: sizes change from training to validation and back, and from run to run.
        let gone = std::mem::ManuallyDrop::new(pool.remove(0));
        // SAFETY: `alloc` gave it with this layout, and nothing refers to it any more.
        unsafe { dealloc(gone.start.as_ptr().cast(), layout(gone.words)) }
    }
}

/// Where half a large page is needed, whole ones.
fn layout(words: usize) -> Layout {
    let bytes = words.saturating_mul(4);
    let align = if bytes >= LARGE_PAGE / 2 { LARGE_PAGE } else { 64 };
    // A size that no address space holds fails as a lack of memory does.
    let layout = Layout::from_size_align(bytes, align).map(|layout| layout.pad_to_align());
    layout.unwrap_or_else(|_| resume_unwind(Box::new(OutOfMemory)))
}

/// Tells Linux that large pages are welcome where the layout has them. It is free to decline.
fn ask_for_large_pages(start: NonNull<u32>, layout: Layout) {
    #[cfg(target_os = "linux")]
    if layout.align() == LARGE_PAGE {
        // SAFETY: memory of that layout, and what it holds does not change.
        let _ = unsafe { libc::madvise(start.as_ptr().cast(), layout.size(), libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, layout);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_memory_is_seen() {
        // More than any address space holds, and more than any machine has.
        for words in [usize::MAX, 1 << 50] {
            assert!(within_memory(|| Scratch::new(words)).is_none(), "{words}");
        }
        assert!(within_memory(|| Scratch::new(1000)).is_some());
    }
}
