//! A few rejected samples for each rule, so that a user sees what a filter does.

use std::collections::BTreeMap;

use serde::Serialize;

const SAMPLES: usize = 5;
const CHARACTERS: usize = 500;

/// A document that was dropped: a line of `rejects.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Reject {
    /// The rule that dropped it.
    pub(super) rule: &'static str,
    /// What the rule found.
    pub(super) value: String,
    /// Where it stands.
    pub(super) file: String,
    /// The line or record there.
    pub(super) position: u64,
    /// Its text, at most 500 characters of it.
    pub(super) text: String,
}

/// Counts what each rule dropped, and keeps the first samples.
#[derive(Debug, Default)]
pub(super) struct Rejects {
    rules: BTreeMap<&'static str, (u64, Vec<Reject>)>,
}

impl Rejects {
    /// Counts a document; `sample` is called where there is room for it.
    pub(super) fn add(&mut self, rule: &'static str, sample: impl FnOnce() -> Reject) {
        let (count, samples) = self.rules.entry(rule).or_default();
        *count += 1;
        if samples.len() < SAMPLES {
            samples.push(sample());
        }
    }

    /// Adds what was counted behind this.
    pub(super) fn append(&mut self, later: Self) {
        for (rule, (more, found)) in later.rules {
            let (count, samples) = self.rules.entry(rule).or_default();
            *count += more;
            let room = SAMPLES.saturating_sub(samples.len());
            samples.extend(found.into_iter().take(room));
        }
    }

    /// How many documents each rule dropped.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.rules.iter().map(|(&rule, (count, _))| (rule.to_owned(), *count)).collect()
    }

    /// The samples as JSON Lines, and behind them those of duplicate removal.
    pub(super) fn to_json_lines(&self, duplicates: &[Reject]) -> Result<Vec<u8>, serde_json::Error> {
        let mut out = Vec::new();
        for reject in self.rules.values().flat_map(|(_, samples)| samples).chain(duplicates) {
            serde_json::to_writer(&mut out, reject)?;
            out.push(b'\n');
        }
        Ok(out)
    }
}

/// The start of a text, as samples show it.
pub(super) fn cut(text: &str) -> &str {
    text.char_indices().nth(CHARACTERS).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_five_a_rule_in_order() {
        let reject =
            |rule, position| Reject { rule, value: String::new(), file: "a.txt".into(), position, text: "t".into() };
        let mut all = Rejects::default();
        for batch in 0..3 {
            let mut later = Rejects::default();
            for i in 0..4 {
                later.add("min_words", || reject("min_words", batch * 4 + i));
            }
            later.add("language", || reject("language", batch));
            all.append(later);
        }
        assert_eq!(all.counts(), BTreeMap::from([("min_words".into(), 12), ("language".into(), 3)]));
        let lines = String::from_utf8(all.to_json_lines(&[reject("near_duplicate", 9)]).unwrap()).unwrap();
        let positions: Vec<u64> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["position"].as_u64().unwrap())
            .collect();
        assert_eq!(positions, [0, 1, 2, 0, 1, 2, 3, 4, 9]);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"é".repeat(501)), "é".repeat(500));
    }
}
