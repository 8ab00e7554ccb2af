//! `--fail-if 'perplexity>90'`: a gate for pipelines.

use std::{fmt, str::FromStr};

use crate::exit::{GateHolds, Usage};

/// A condition on a figure that makes the command fail.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    figure: String,
    comparison: Comparison,
    bound: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Longer ones first, since `>` begins `>=`.
const COMPARISONS: [(&str, Comparison); 4] =
    [(">=", Comparison::AtLeast), ("<=", Comparison::AtMost), (">", Comparison::Above), ("<", Comparison::Below)];

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |found: &str| format!("{found}; allowed: FIGURE>NUMBER, with > >= < or <=, as in 'perplexity>90'");
        let at = text.find(['<', '>']).ok_or_else(|| refuse("no comparison"))?;
        let (figure, rest) = text.split_at(at);
        let found = COMPARISONS.iter().find_map(|&(sign, comparison)| Some((comparison, rest.strip_prefix(sign)?)));
        let (comparison, bound) = found.ok_or_else(|| refuse("no comparison"))?;
        let figure = figure.trim().to_owned();
        if figure.is_empty() || !figure.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(refuse(&format!("{figure:?} is no figure")));
        }
        match bound.trim().parse::<f64>() {
            Ok(bound) if bound.is_finite() => Ok(Self { figure, comparison, bound }),
            _ => Err(refuse(&format!("{:?} is no number", bound.trim()))),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign =
            COMPARISONS.iter().find(|(_, comparison)| *comparison == self.comparison).map_or("", |(sign, _)| sign);
        write!(f, "{}{sign}{}", self.figure, self.bound)
    }
}

impl Gate {
    /// The figure that the gate is about.
    fn figure(&self) -> &str {
        &self.figure
    }

    /// Whether the condition holds for `value`. What is not a number holds always: it must never pass for a good result.
    fn holds(&self, value: f64) -> bool {
        value.is_nan()
            || match self.comparison {
                Comparison::Above => value > self.bound,
                Comparison::AtLeast => value >= self.bound,
                Comparison::Below => value < self.bound,
                Comparison::AtMost => value <= self.bound,
            }
    }
}

/// The figure of that name.
fn value(figures: &[(String, f64)], name: &str) -> Option<f64> {
    figures.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
}

/// Checks that every gate is about a figure that there is.
///
/// # Errors
/// Names the first that is not, and the figures that there are.
pub fn check_names(gates: &[Gate], figures: &[(String, f64)]) -> Result<(), Usage> {
    let Some(gate) = gates.iter().find(|gate| value(figures, gate.figure()).is_none()) else { return Ok(()) };
    let names: Vec<_> = figures.iter().map(|(name, _)| name.as_str()).collect();
    Err(Usage(format!("--fail-if {gate}: no figure {:?}; allowed: {}", gate.figure(), names.join(", "))))
}

/// Checks that no gate holds.
///
/// # Errors
/// Names those that do.
pub fn check(gates: &[Gate], figures: &[(String, f64)]) -> Result<(), GateHolds> {
    let held = gates.iter().filter_map(|gate| {
        let value = value(figures, gate.figure()).filter(|&value| gate.holds(value))?;
        Some(format!("--fail-if {gate} holds: {} is {value}", gate.figure()))
    });
    let held: Vec<_> = held.collect();
    if held.is_empty() { Ok(()) } else { Err(GateHolds(held.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_or_not() {
        let check = |gate: &str, value: f64, expect: bool| {
            assert_eq!(gate.parse::<Gate>().unwrap().holds(value), expect, "{gate} for {value}");
        };
        check("perplexity>90", 90.0, false);
        check("perplexity>90", 90.1, true);
        check("perplexity>=90", 90.0, true);
        check(" tokens < 1e3 ", 999.0, true);
        check("tokens<1000", 1000.0, false);
        check("nll<=-0.5", -0.5, true);
        check("perplexity>90", f64::INFINITY, true);
        check("perplexity>90", f64::NAN, true);
        check("perplexity<90", f64::NAN, true);
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for gate in
            ["", "perplexity", "perplexity=90", "perplexity>", ">90", "perplexity>ninety", "a>nan", "a>>1", "a=>1"]
        {
            let found = gate.parse::<Gate>().unwrap_err();
            assert!(found.contains("'perplexity>90'"), "{gate}: {found}");
        }
    }

    #[test]
    fn a_gate_prints_as_it_was_written() {
        for gate in ["perplexity>90", "bits_per_byte<=1.5", "tokens<10", "nll>=0.25"] {
            assert_eq!(gate.parse::<Gate>().unwrap().to_string(), gate);
        }
    }
}
