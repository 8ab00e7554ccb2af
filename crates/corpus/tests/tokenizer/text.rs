//! Text to train on.

use std::path::Path;

/// Sentences in several scripts, with frequent and rare words, numbers, marks and odd spaces; the same on every run.
pub(crate) fn sample() -> Vec<String> {
    const ENGLISH: [&str; 12] =
        ["the", "river", "turned", "slowly", "towards", "a", "village", "where", "nobody's", "lamp", "burned", "late"];
    const CHINESE: [&str; 10] = ["河水", "慢慢", "流过", "村庄", "夜里", "没有", "灯火", "，", "人们", "都睡了"];
    const OTHERS: [&str; 8] = ["naïve", "Übung", "हिन्दी", "ไทย", "かな", "한국어", "😀", "𝒳"];
    let mut state = 7_u64;
    let mut draw = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below as u64) as usize
    };
    let mut lines = Vec::new();
    for line in 0..400 {
        let mut words = Vec::new();
        for _ in 0..12 {
            // The smaller of two draws: some words are frequent.
            words.push(ENGLISH[draw(12).min(draw(12))].to_owned());
        }
        words.push(OTHERS[draw(8).min(draw(8))].to_owned());
        words.push(format!("{}", draw(2000) + 1));
        let chinese: String = (0..15).map(|_| CHINESE[draw(10).min(draw(10))]).collect();
        lines.push(if line % 2 == 0 { words.join(" ") + "." } else { chinese + "。" });
    }
    lines.push("\tindented  twice\nand on\n\na new line <tag> ".into());
    lines
}

/// The first lines of the sets that lie in `data/lm`; none where there is no such folder.
pub(crate) fn real() -> Vec<String> {
    use std::io::{BufRead, BufReader};
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/lm");
    let mut lines = Vec::new();
    for (file, count) in [("ptb/ptb.train.txt.gz", 3000), ("zh/hongloumeng.txt.gz", 150)] {
        let Ok(file) = std::fs::File::open(root.join(file)) else { continue };
        let reader = BufReader::new(flate2::read::GzDecoder::new(file));
        lines.extend(reader.lines().take(count).map(|line| line.unwrap()));
    }
    lines
}
