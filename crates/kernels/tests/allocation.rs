//! Reading a token takes no memory. A test of its own, for what other tests take would count.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use grulm_kernels::{GruWeights, Packing, Sequence, SequenceWeights};
use tch::{Device::Cpu, Kind::Float, Tensor};

struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_token_takes_no_memory() {
    let (words, width, hidden) = (500, 60, 200);
    let ones = |shape: &[i64]| Tensor::ones(shape, (Float, Cpu));
    let (rows, bias) = (ones(&[3 * hidden, width]), ones(&[3 * hidden]));
    let (recurrent, softmax) = (ones(&[3 * hidden, hidden]), (ones(&[words, hidden]), ones(&[words])));
    let embedding = ones(&[words, width]);
    let layer = GruWeights { weight_ih: &rows, weight_hh: &recurrent, bias_ih: &bias, bias_hh: &bias };
    let weights = SequenceWeights {
        embedding: &embedding,
        layers: vec![layer],
        projection: None,
        softmax: (&softmax.0, &softmax.1),
    };
    for packing in Packing::ALL {
        let mut sequence = Sequence::new(&weights, packing).unwrap();
        sequence.predict(0).unwrap();
        let before = TAKEN.load(Ordering::Relaxed);
        assert!(before > 0, "taking is counted");
        for token in 0..100 {
            sequence.read(token).unwrap();
            assert_eq!(sequence.predict(token).unwrap().len(), 500);
        }
        sequence.reset();
        assert_eq!(TAKEN.load(Ordering::Relaxed), before, "{packing:?}");
    }
}
