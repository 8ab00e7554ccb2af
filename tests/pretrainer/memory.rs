//! What a long training holds in memory, and models that have no room there.
#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Command,
};

use crate::program::Workplace;

const STEPS: u64 = 10_000;
/// What the allocator may take on the way, in bytes: less than 120 a step.
const SLACK: u64 = 1 << 20;

/// The bytes of a process that are resident; `None` once it has ended.
fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024)
}

/// Evaluations and checkpoints are among the steps.
#[test]
fn ten_thousand_steps_take_no_more_memory_than_the_first_thousand() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    let args = format!(
        "train -c c.toml --set train.steps={STEPS} --set train.log_every=100 --set train.evaluate_every=400 \
         --set train.checkpoint_every=400"
    );
    let mut child = place.command(&args).spawn().unwrap();
    let mut seen = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        if line.unwrap().contains(": loss ") {
            seen.extend(resident(child.id()));
        }
    }
    assert!(child.wait().unwrap().success());
    // The last line may be read when the process has ended.
    assert!(seen.len() as u64 >= STEPS / 100 - 1, "{seen:?}");
    let (first, last) = (seen[..10].iter().max().unwrap(), seen[90..].iter().max().unwrap());
    println!("resident within the first thousand steps {first} bytes, within the last {last}");
    assert!(*last <= first + SLACK, "{first} bytes within the first thousand steps, {last} within the last: {seen:?}");
}

#[test]
fn a_model_without_room_names_a_weight() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    // More than any machine has; a plan says so.
    let planned =
        place.run("run -c c.toml --dry-run --set model.embedding=65536 --set model.hidden=65536 --set model.layers=64");
    assert!(planned.status == Some(0) && planned.stderr.contains("make the model smaller"), "{}", planned.stderr);
    let args = "train -c c.toml --set model.embedding=16384 --set model.hidden=16384";
    // In KiB, with what is only reserved.
    let limited = "ulimit -v 3000000; exec \"$0\" \"$@\"";
    let ran = place.through_shell(Command::new("sh").args(["-c", limited]), args);
    ran.failed(args, 1, &["encoder.forward.rnns.0.weight_ih_l0 [49152, 16384] has 3072 MiB", "make the model smaller"]);
    for unwanted in ["panicked", "frame #"] {
        assert!(!ran.stderr.contains(unwanted), "{}", ran.stderr);
    }
}
