//! The table at the end of preparation.

use crate::{Manifest, Split};

impl Manifest {
    /// A table for people: documents, words, tokens and bytes of each split, then what was dropped and why.
    #[must_use]
    pub fn table(&self) -> String {
        let mut rows = vec![["split", "documents", "words", "tokens", "bytes"].map(str::to_owned)];
        for split in Split::ALL {
            if let Some(info) = self.splits.get(&split) {
                let counts = [info.documents, info.words, info.tokens, info.bytes].map(grouped);
                let [documents, words, tokens, bytes] = counts;
                rows.push([split.name().to_owned(), documents, words, tokens, bytes]);
            }
        }
        let mut table = align(&rows);
        table.push_str(&format!(
            "{} documents read, vocabulary of {}\n",
            grouped(self.documents_read),
            grouped(self.vocab_size as u64)
        ));
        let lost = self.losses();
        if !lost.is_empty() {
            table.push('\n');
            table.push_str(&align(&lost));
        }
        table
    }

    /// What each rule dropped, largest first, then duplicates and replacements; rows of zero are left out.
    pub(crate) fn losses(&self) -> Vec<[String; 2]> {
        let mut dropped: Vec<(&String, &u64)> = self.dropped.iter().collect();
        dropped.sort_by_key(|&(rule, &count)| (std::cmp::Reverse(count), rule));
        let dropped = dropped.into_iter().map(|(rule, &count)| (format!("dropped by {rule}"), count));
        let others = [
            ("exact duplicates removed".to_owned(), self.duplicates.exact),
            ("near-duplicates removed".to_owned(), self.duplicates.near),
            ("removed from train, since in valid or test".to_owned(), self.duplicates.held_out),
            ("lines removed from documents".to_owned(), self.removed_lines),
            ("undecodable characters replaced".to_owned(), self.replaced_characters),
        ];
        dropped.chain(others).filter(|&(_, count)| count > 0).map(|(what, count)| [what, grouped(count)]).collect()
    }
}

/// Columns side by side: the first to the left, numbers to the right.
fn align<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut table = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            table.push_str(&if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") });
        }
        table.push('\n');
    }
    table
}

/// 1234567 as "1,234,567".
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, expect) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (929_589, "929,589"), (u64::MAX, "18,446,744,073,709,551,615")]
        {
            assert_eq!(grouped(number), expect);
        }
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["split", "tokens"], ["train", "1,000"]].map(|row| row.map(str::to_owned));
        assert_eq!(align(&rows), "split  tokens\ntrain   1,000\n");
    }
}
