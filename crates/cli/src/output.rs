//! Results: what goes to standard output.

use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Number, Value};

use crate::exit::OutputClosed;

/// Writes `text` as it is, at once.
///
/// # Errors
/// [`OutputClosed`] where nobody reads any more; what the system said where it cannot be written.
pub fn write(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        written => written.context("standard output"),
    }
}

/// Writes `value` as one line of JSON.
///
/// # Errors
/// As [`write()`].
pub fn write_json(value: &impl Serialize) -> anyhow::Result<()> {
    write(&(serde_json::to_string(value)? + "\n"))
}

/// A JSON object that keeps the order of its keys.
pub type Object = IndexMap<String, Value>;

/// Named figures as a JSON object in their order; counts are integers, what is not finite is null.
pub fn figures_to_json(figures: &[(String, f64)]) -> Object {
    figures.iter().map(|(name, value)| (name.clone(), number(*value))).collect()
}

fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 2f64.powi(53) && value >= 0.0 {
        return Value::Number((value as u64).into());
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// A table for people: names to the left, values to the right.
pub fn table(rows: &[(String, String)]) -> String {
    let names = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{name:<names$}  {value}\n")).collect()
}

/// A table of columns: the first to the left, the others to the right.
pub fn columns(rows: &[Vec<String>]) -> String {
    let mut widths = vec![0; rows.iter().map(Vec::len).max().unwrap_or(0)];
    for row in rows {
        row.iter().zip(&mut widths).for_each(|(cell, width)| *width = cell.chars().count().max(*width));
    }
    let mut text = String::new();
    for row in rows {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            text.push_str(&if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") });
        }
        text.push('\n');
    }
    text
}

/// Figures as rows of a table.
pub fn figure_rows(figures: &[(String, f64)]) -> Vec<(String, String)> {
    figures.iter().map(|(name, value)| (name.replace('_', " "), plain(name, *value))).collect()
}

/// Figures in percent.
const PERCENT: [&str; 6] = ["bleu", "chrf", "exact_match", "f1", "none_recognised", "answered"];

fn plain(name: &str, value: f64) -> String {
    match name {
        _ if value.fract() == 0.0 && value.abs() < 2f64.powi(53) && value >= 0.0 => grouped(value as u64),
        _ if name.starts_with("perplexity") || PERCENT.contains(&name) => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// 1234567 as "1,234,567".
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// 1 and "step" as "1 step", 1234 as "1,234 steps".
pub fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// 12345678 as "12.3 MB".
pub fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "bytes" { format!("{number} bytes") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// Seconds as "89 s", "10 minutes" or "2.0 hours".
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["split", "tokens"], ["train", "1,000"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows), "split  tokens\ntrain   1,000\n");
        assert_eq!(columns(&[]), "");
    }

    #[test]
    fn numbers_for_people() {
        for (number, expect) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (929_589, "929,589"), (12_345_678, "12,345,678")]
        {
            assert_eq!(grouped(number), expect);
        }
        for (number, expect) in [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (12_345_678, "12.3 MB")] {
            assert_eq!(bytes(number), expect);
        }
        assert_eq!(bytes(u64::MAX), "18446744.1 TB");
        for (number, expect) in [(0, "0 steps"), (1, "1 step"), (1000, "1,000 steps")] {
            assert_eq!(count(number, "step"), expect);
        }
        for (seconds, expect) in [(0.4, "0 s"), (89.0, "89 s"), (600.0, "10 minutes"), (7200.0, "2.0 hours")] {
            assert_eq!(duration(seconds), expect);
        }
    }

    #[test]
    fn figures_become_json() {
        let figures = [("tokens", 82_430.0), ("nll", 4.5), ("perplexity", f64::INFINITY)];
        let object = figures_to_json(&figures.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(serde_json::to_string(&object).unwrap(), r#"{"tokens":82430,"nll":4.5,"perplexity":null}"#);
    }
}
