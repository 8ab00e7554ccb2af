//! Long contexts in overlapping parts.

use std::ops::Range;

/// How a context that is too long is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Windows {
    /// Tokens of a window, at least 1.
    pub(super) length: usize,
    /// From the beginning of one window to that of the next, at least 1.
    pub(super) stride: usize,
}

impl Windows {
    /// Windows over `tokens` tokens, each as long as a window is unless there are fewer tokens; one at least. Any part of at most
    /// `length - stride + 1` tokens lies within one of them.
    pub(super) fn over(self, tokens: usize) -> impl Iterator<Item = Range<usize>> {
        let behind = tokens.saturating_sub(self.length);
        let count = 1 + behind.div_ceil(self.stride);
        (0..count).map(move |window| {
            let start = (window * self.stride).min(behind);
            start..tokens.min(start + self.length)
        })
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of ranges, some of which hold one")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples() {
        let check = |length, stride, tokens, expect: &[Range<usize>]| {
            assert_eq!(Windows { length, stride }.over(tokens).collect::<Vec<_>>(), expect);
        };
        check(10, 5, 0, &[0..0]);
        check(10, 5, 10, &[0..10]);
        check(10, 5, 11, &[0..10, 1..11]);
        check(10, 5, 21, &[0..10, 5..15, 10..20, 11..21]);
        check(10, 10, 20, &[0..10, 10..20]);
    }

    proptest! {
        #[test]
        fn every_part_that_is_short_enough_lies_within_one(length in 1usize..40, stride in 1usize..40, tokens in 0usize..300, at in any::<prop::sample::Index>()) {
            let stride = stride.min(length);
            let windows: Vec<_> = Windows { length, stride }.over(tokens).collect();
            prop_assert!(windows.iter().all(|window| window.len() == length.min(tokens)));
            prop_assert!(windows.windows(2).all(|pair| pair[0].start < pair[1].start));
            let part = length - stride + 1;
            if part <= tokens {
                let start = at.index(tokens - part + 1);
                prop_assert!(windows.iter().any(|window| window.start <= start && window.end >= start + part));
            }
        }
    }
}
