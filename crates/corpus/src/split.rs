//! Which split a document goes to where none is given.

use crate::Split;

/// The split of a document by the hash of its folded text, so that texts that are equal but for letter case and white space are in the
/// same one, in whatever order and among whatever other documents they stand.
pub(crate) fn by_hash(key: u128, valid_fraction: f64, test_fraction: f64) -> Split {
    // The 53 highest bits, which a float holds exactly, as a number in 0..1.
    let place = (key >> 75) as f64 / (1_u64 << 53) as f64;
    if place < test_fraction {
        Split::Test
    } else if place < test_fraction + valid_fraction {
        Split::Valid
    } else {
        Split::Train
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedup::text_key;

    #[test]
    fn shares_are_as_stated() {
        let check = |valid, test, expect: [usize; 3]| {
            let mut found = [0_usize; 3];
            for i in 0..20_000 {
                found[by_hash(text_key(&format!("document {i}")), valid, test) as usize] += 1;
            }
            for (found, expect) in found.into_iter().zip(expect) {
                assert!(found.abs_diff(expect) <= 200, "{found} of 20000 instead of {expect}");
            }
        };
        check(0.1, 0.2, [14_000, 2_000, 4_000]);
        check(0.0, 0.0, [20_000, 0, 0]);
        check(0.5, 0.0, [10_000, 10_000, 0]);
    }

    #[test]
    fn the_ends_of_the_range() {
        assert_eq!(by_hash(0, 0.0, 0.0), Split::Train);
        assert_eq!(by_hash(0, 0.1, 0.1), Split::Test);
        assert_eq!(by_hash(u128::MAX, 0.5, 0.499), Split::Train);
    }
}
