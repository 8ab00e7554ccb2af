//! What the arithmetic does to a run.

use serde_json::Value;

use crate::program::{Workplace, root};

/// The losses that a run logged.
fn losses(place: &Workplace, run: &str) -> Vec<f64> {
    let lines = place.read(&format!("{run}/metrics.jsonl"));
    let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter_map(|row| row["loss"].as_f64()).collect()
}

/// The perplexity that weights of fewer bits lose, and that they write.
#[test]
fn weights_of_fewer_bits_cost_little() {
    let place = Workplace::new();
    std::fs::copy(root().join("tests/data/corpus/village.txt"), place.path("text.txt")).unwrap();
    place.succeed("prepare -c c.toml");
    place.succeed("train -c c.toml --set train.steps=100 --set train.learning_rate=0.01");
    let [fp32, bf16, int8] = ["fp32", "bf16", "int8"].map(|precision| {
        let scored = place.succeed(&format!("evaluate model --text text.txt --json --precision {precision}"));
        let written = place.succeed(&format!("generate model --prompt The --max-tokens 20 --precision {precision}"));
        assert!(written.len() > 10, "{written}");
        serde_json::from_str::<Value>(&scored).unwrap()["perplexity"].as_f64().unwrap()
    });
    for (name, found) in [("bf16", bf16), ("int8", int8)] {
        assert!((found / fp32 - 1.0).abs() < 0.005, "{name}: {found}, fp32 {fp32}");
        assert_ne!(found, fp32, "{name} acts");
    }
}

/// Weights and state are f32 in both; only products differ. `scripts/compare_precision.py` does this at length on real text.
#[test]
fn a_bf16_run_has_the_loss_curve_of_an_fp32_one() {
    let place = Workplace::new();
    std::fs::copy(root().join("tests/data/corpus/village.txt"), place.path("text.txt")).unwrap();
    place.succeed("prepare -c c.toml");
    let args = "train -c c.toml --set train.steps=200 --set train.learning_rate=0.01 --set train.log_every=20";
    let [fp32, bf16] = ["fp32", "bf16"].map(|precision| {
        place.succeed(&format!("{args} --set train.precision={precision} --set run.dir={precision}"));
        losses(&place, precision)
    });
    assert_eq!((fp32.len(), bf16.len()), (10, 10));
    assert!(fp32[9] < fp32[0] - 0.4, "it learned: {fp32:?}");
    for (step, (fp32, bf16)) in fp32.iter().zip(&bf16).enumerate() {
        assert!((bf16 / fp32 - 1.0).abs() < 0.01, "line {step}: {bf16} in bf16, {fp32} in fp32");
    }
    assert_ne!(fp32, bf16, "the setting acts");
}
