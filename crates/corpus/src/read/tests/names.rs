//! Which files patterns stand for.

use std::os::unix::fs::symlink;

use super::*;

const FILES: [&str; 14] = [
    "a.txt",
    "b/c.jsonl.gz",
    "b/d.CSV",
    "b/deep/e.tsv.zst",
    "b/.hidden.txt",
    "b.txt",
    ".git/f.txt",
    "g.parquet",
    "notes.md",
    "train.en",
    "train.fr.gz",
    "no-extension",
    "odd[1].txt",
    "h.ndjson",
];

fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in FILES {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    folder
}

fn expand(root: &Path, patterns: &[&str]) -> Result<Vec<Input>, Error> {
    let patterns: Vec<_> = patterns.iter().map(|pattern| format!("{}/{pattern}", root.display())).collect();
    inputs("corpus.valid", &patterns)
}

#[test]
fn patterns_become_files_in_order() {
    let tree = tree();
    let everything =
        ["a.txt", "b.txt", "b/c.jsonl.gz", "b/d.CSV", "b/deep/e.tsv.zst", "g.parquet", "h.ndjson", "odd[1].txt"];
    let check = |patterns: &[&str], expect: &[&str]| {
        let found = expand(tree.path(), patterns).unwrap();
        let names: Vec<_> = found.iter().map(|input| input.path.strip_prefix(tree.path()).unwrap()).collect();
        assert_eq!(names, expect.iter().map(Path::new).collect::<Vec<_>>(), "{patterns:?}");
    };
    check(&["a.txt"], &["a.txt"]);
    check(&["."], &everything);
    check(&["**"], &everything);
    check(&["b"], &["b/c.jsonl.gz", "b/d.CSV", "b/deep/e.tsv.zst"]);
    check(&["b/"], &["b/c.jsonl.gz", "b/d.CSV", "b/deep/e.tsv.zst"]);
    check(&["*.txt"], &["a.txt", "b.txt", "odd[1].txt"]);
    check(&["b//*"], &["b/c.jsonl.gz", "b/d.CSV"]);
    check(&["*/*.gz", "?.txt"], &["b/c.jsonl.gz", "a.txt", "b.txt"]);
    check(&["b/**/*.{tsv,csv,CSV}*"], &["b/d.CSV", "b/deep/e.tsv.zst"]);
    check(&["[ag].*"], &["a.txt", "g.parquet"]);
    check(&["odd[1].txt"], &["odd[1].txt"]);
    check(
        &["train.fr.gz", "no-extension", "train.en", "notes.md"],
        &["train.fr.gz", "no-extension", "train.en", "notes.md"],
    );
    check(&["b/.hidden.txt"], &["b/.hidden.txt"]);
    check(&["b.txt", "*.txt", "b.txt", "b/../a.txt"], &["b.txt", "a.txt", "odd[1].txt"]);
    check(&[], &[]);
}

#[test]
fn names_say_format_and_compression() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, format, compression| {
        let path = folder.path().join(name);
        fs::write(&path, "x").unwrap();
        assert_eq!(only_input(&path), Input { path, format, compression });
    };
    check("a.txt", Format::Text, Compression::None);
    check("a.TXT.GZ", Format::Text, Compression::Gzip);
    check("a", Format::Text, Compression::None);
    check("a.gz", Format::Text, Compression::Gzip);
    check("wiki.train.tokens.zst", Format::Text, Compression::Zstd);
    check("a.jsonl", Format::JsonLines, Compression::None);
    check("a.ndjson.zst", Format::JsonLines, Compression::Zstd);
    check("a.csv.gz", Format::Csv, Compression::Gzip);
    check("a.tsv", Format::Tsv, Compression::None);
    check("a.parquet", Format::Parquet, Compression::None);
}

#[test]
fn links_are_followed_and_count_once() {
    let tree = tree();
    let other = tempfile::tempdir().unwrap();
    symlink(tree.path(), other.path().join("link")).unwrap();
    symlink(tree.path().join("a.txt"), other.path().join("z.txt")).unwrap();
    let found = expand(other.path(), &["link/*.txt", "z.txt"]).unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(expand(other.path(), &["."]).unwrap().len(), 8);

    symlink(tree.path(), tree.path().join("b/loop")).unwrap();
    let message = expand(tree.path(), &["."]).unwrap_err().to_string();
    assert!(message.contains("b/loop"), "{message}");
}

#[test]
fn what_is_no_text_of_the_user_is_passed_over() {
    let tree = tempfile::tempdir().unwrap();
    for name in [
        "text.txt",
        "run/run.lock",
        "run/log.txt",
        "run/checkpoints/x.txt",
        "corpus/manifest.json",
        "corpus/tokenizer.json",
        "corpus/rejects.jsonl",
        "corpus.part/cleaning.json",
        "corpus.part/tokenizer.json",
        "corpus.part/rejects.jsonl",
        "mine/manifest.json",
        "mine/text.txt",
    ] {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    symlink("none.txt", tree.path().join("dangling.txt")).unwrap();
    let check = |pattern: &str, expect: &[&str]| {
        let found = expand(tree.path(), &[pattern]).unwrap();
        let names: Vec<_> = found.iter().map(|input| input.path.strip_prefix(tree.path()).unwrap()).collect();
        assert_eq!(names, expect.iter().map(Path::new).collect::<Vec<_>>(), "{pattern}");
    };
    check(".", &["mine/text.txt", "text.txt"]);
    check("*.txt", &["text.txt"]);
    check("**/*.{txt,jsonl}", &["mine/text.txt", "text.txt"]);
    // What is named itself is meant.
    check("run/log.txt", &["run/log.txt"]);
    let message = expand(tree.path(), &["dangling.txt"]).unwrap_err().to_string();
    assert!(message.contains("dangling.txt"), "{message}");
}

#[test]
fn patterns_that_lead_nowhere_are_refused() {
    let tree = tree();
    fs::create_dir(tree.path().join("empty")).unwrap();
    for name in ["packed.parquet.gz", "packed.tar.gz", "old.json", "x.bz2"] {
        fs::write(tree.path().join(name), "x").unwrap();
    }
    let check = |pattern: &str, part: &str| match expand(tree.path(), &[pattern]) {
        Err(Error::Config(invalid)) => {
            assert_eq!(invalid.key, "corpus.valid");
            assert!(invalid.found.contains(pattern), "{invalid}");
            assert!(invalid.allowed.contains(part), "{invalid}");
        }
        other => panic!("{pattern}: {other:?}"),
    };
    check("missing.txt", "exist");
    check("a.txt/b.txt", "exist");
    check("missing/*.txt", "exist");
    check("*.none", "exist");
    check("empty", ".jsonl");
    check("train.*", "none of the 2");
    check("a[.txt", "a glob");
    check("{a.txt", "a glob");
    check("packed.parquet.gz", ".parquet");
    check("packed.tar.gz", ".jsonl");
    check("old.json", ".jsonl");
    assert_eq!(
        question_inputs("task.train", &[tree.path().join("old.json").display().to_string()]).unwrap()[0].format,
        Format::Json
    );
    check("x.bz2", ".zst");
    assert!(matches!(inputs("corpus.train", &[String::new()]), Err(Error::Config(_))));
}

#[test]
fn a_compressed_parquet_file_in_a_folder_is_not_passed_over() {
    let tree = tree();
    fs::write(tree.path().join("b/packed.parquet.zst"), "x").unwrap();
    assert!(matches!(expand(tree.path(), &["b"]), Err(Error::Config(_))));
}
