//! The same texts give the same file: twice, in other processes, with other numbers of threads.

use std::path::Path;
use std::process::Command;

use crate::{KINDS, golden, text, train};

/// Where [`write_each_kind`] writes.
const FOLDER: &str = "GRULM_TOKENIZER_FOLDER";

fn write(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let real = text::real();
    for (kind, name) in KINDS {
        golden::trained(kind).save(&folder.join(format!("{name}.json"))).unwrap();
        if !real.is_empty() {
            train(kind, 4000, &real).save(&folder.join(format!("{name}-real.json"))).unwrap();
        }
    }
}

/// Run by [`every_process_writes_the_same_file`] in processes of its own.
#[test]
#[ignore = "writes to the folder in GRULM_TOKENIZER_FOLDER"]
fn write_each_kind() {
    write(Path::new(&std::env::var(FOLDER).unwrap()));
}

#[test]
fn every_process_writes_the_same_file() {
    if text::real().is_empty() {
        eprintln!("data/lm is absent: generated text only");
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("here");
    write(&here);
    let children = [("1", "one"), ("4", "four"), ("4", "four-again")].map(|(threads, name)| {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "determinism::write_each_kind"])
            .env(FOLDER, folder.path().join(name))
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        folder.path().join(name)
    });
    let mut files = 0;
    for file in std::fs::read_dir(&here).unwrap() {
        let name = file.unwrap().file_name();
        let expect = std::fs::read(here.join(&name)).unwrap();
        for child in &children {
            assert!(std::fs::read(child.join(&name)).unwrap() == expect, "{} in {}", name.display(), child.display());
        }
        files += 1;
    }
    assert!(files >= KINDS.len());
}

#[test]
fn one_process_writes_the_same_file_twice() {
    for (kind, name) in KINDS {
        let texts = text::sample();
        assert_eq!(train(kind, 600, &texts).hash(), train(kind, 600, &texts).hash(), "{name}");
    }
}
