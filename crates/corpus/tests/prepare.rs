//! Corpora from end to end: what is prepared is what the files hold, whatever the threads and whatever happens on the way.

// clippy.toml allows both in test functions; the functions that they share are no less tests.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use grulm_corpus::{
    Cleaner, Corpus, CorpusConfig, Duplicates, Error, Prepared, Special, Split, TokenizerConfig, TokenizerKind, Unit,
    tokenize_files,
};
use indicatif::ProgressBar;

/// A folder with files of text, and the config of a corpus beside them.
struct Set {
    folder: tempfile::TempDir,
    corpus: CorpusConfig,
    tokenizer: TokenizerConfig,
}

impl Set {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let corpus = CorpusConfig { dir: folder.path().join("corpus"), ..CorpusConfig::default() };
        let tokenizer = TokenizerConfig { kind: TokenizerKind::Word, vocab_size: 5000, ..TokenizerConfig::default() };
        let mut set = Self { folder, corpus, tokenizer };
        set.corpus.train = set.paths(&["train*"]);
        set
    }

    fn paths(&self, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| self.folder.path().join(name).display().to_string()).collect()
    }

    fn try_prepare(&self, threads: usize) -> Result<Prepared, Error> {
        grulm_corpus::prepare(&self.corpus, &self.tokenizer, threads, &ProgressBar::hidden())
    }

    fn prepare(&self) -> Corpus {
        self.try_prepare(2).unwrap().corpus
    }

    /// Every file of the corpus folder.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(&self.corpus.dir).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    fn rejects(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.corpus.dir.join("rejects.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The documents of a split.
fn texts(corpus: &Corpus, split: Split) -> Vec<String> {
    let Some(stream) = corpus.stream(split).unwrap() else { return Vec::new() };
    let tokens: Vec<u32> = (0..stream.len()).map(|i| stream.get(i)).collect();
    let eos = corpus.tokenizer.special(Special::Eos);
    let documents = tokens.split_inclusive(|&token| token == eos);
    documents.map(|tokens| corpus.tokenizer.decode(&tokens[..tokens.len() - 1]).unwrap()).collect()
}

/// Sentences of a vocabulary of 500 words, one a line, every seventh blank.
fn sentences(count: u64, seed: u64) -> String {
    let mut state = seed;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut text = String::new();
    for line in 0..count {
        if line % 7 != 6 {
            let words: Vec<String> = (0..3 + draw(20)).map(|_| format!("w{}", draw(500))).collect();
            text.push_str(&words.join(" "));
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let repeated = sentences(9_000, 1);
    let mut set = Set::new(&[
        ("train-a.txt", &sentences(60_000, 1)),
        ("train-b.txt", &repeated),
        ("train-c.txt", &sentences(300, 2)),
    ]);
    set.corpus.valid_fraction = 0.1;
    set.corpus.test_fraction = 0.05;
    set.corpus.filter.min_words = Some(4);
    set.corpus.dedup.exact = true;
    set.corpus.dedup.near = true;
    set.corpus.dedup.held_out = true;
    for kind in [TokenizerKind::Word, TokenizerKind::ByteBpe] {
        set.tokenizer = TokenizerConfig { kind, vocab_size: 600, sample_mib: 1, ..TokenizerConfig::default() };
        let first = set.try_prepare(1).unwrap();
        assert!(!first.skipped && first.corpus.manifest.duplicates.exact > 5_000);
        first.corpus.verify().unwrap();
        let expect = set.files();
        for threads in [3, 0] {
            fs::remove_dir_all(&set.corpus.dir).unwrap();
            set.try_prepare(threads).unwrap();
            assert!(set.files() == expect, "{kind:?}: {threads} threads gave other bytes");
        }
    }
}

#[test]
fn what_is_up_to_date_is_skipped() {
    let mut set = Set::new(&[("train.txt", "a b c\n"), ("valid.txt", "a c\n")]);
    set.corpus.valid = set.paths(&["valid.txt"]);
    assert!(!set.try_prepare(1).unwrap().skipped);
    assert!(set.try_prepare(2).unwrap().skipped);
    let path = set.folder.path().join("train.txt");
    // The same text under another name is the same corpus, whose manifest has the new name.
    fs::rename(&path, set.folder.path().join("train-2.txt")).unwrap();
    set.corpus.train = set.paths(&["train-2.txt"]);
    assert!(set.try_prepare(1).unwrap().skipped);
    assert_eq!(Corpus::open(&set.corpus.dir).unwrap().manifest.config.corpus, set.corpus);
    assert_eq!(fs::read_dir(set.folder.path()).unwrap().count(), 3);
    fs::write(set.folder.path().join("train-2.txt"), "a b d\n").unwrap();
    assert!(!set.try_prepare(1).unwrap().skipped);
    set.corpus.clean.lowercase = true;
    assert!(!set.try_prepare(1).unwrap().skipped);
    set.tokenizer.vocab_size = 8;
    assert!(!set.try_prepare(1).unwrap().skipped);
    assert!(set.try_prepare(1).unwrap().skipped);
    // A folder that was damaged is no excuse to skip.
    let shard = set.corpus.dir.join("train-00000.bin");
    fs::remove_file(&shard).unwrap();
    assert!(!set.try_prepare(1).unwrap().skipped);
    let mut bytes = fs::read(&shard).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&shard, bytes).unwrap();
    assert!(!set.try_prepare(1).unwrap().skipped);
    // A text that moves from train to valid makes another corpus.
    set.corpus.test = set.paths(&["valid.txt"]);
    set.corpus.valid.clear();
    assert!(!set.try_prepare(1).unwrap().skipped);
}

#[test]
fn given_files_are_taken_as_they_are() {
    let mut set = Set::new(&[
        ("train.txt", "one two three\n\none\none two three\n"),
        ("valid.txt", "one\n\none\n"),
        ("test.txt", "ONE  two\n"),
    ]);
    set.corpus.train = set.paths(&["*.txt"]);
    set.corpus.valid = set.paths(&["valid.txt"]);
    set.corpus.test = set.paths(&["test.txt"]);
    set.corpus.filter.min_words = Some(2);
    set.corpus.dedup.exact = true;
    set.corpus.clean.lowercase = true;
    let corpus = set.prepare();
    assert_eq!(texts(&corpus, Split::Train), ["one two three"]);
    assert_eq!(texts(&corpus, Split::Valid), ["one", "", "one"]);
    assert_eq!(texts(&corpus, Split::Test), ["one two"]);
    let train = &corpus.manifest.splits[&Split::Train];
    assert_eq!((train.documents, train.words, train.tokens, train.bytes), (1, 3, 4, 14));
    assert_eq!(corpus.manifest.duplicates, Duplicates { exact: 1, near: 0, held_out: 0 });
    assert_eq!(corpus.manifest.dropped, BTreeMap::from([("min_words".into(), 2)]));
    assert_eq!(corpus.manifest.documents_read, 8);
}

#[test]
fn blank_lines_are_no_duplicates_and_stay_with_their_text() {
    let mut set = Set::new(&[("train.txt", &(0..400).map(|i| format!("line number {i}\n\n")).collect::<String>())]);
    set.corpus.valid_fraction = 0.3;
    set.corpus.dedup.exact = true;
    let corpus = set.prepare();
    for split in [Split::Train, Split::Valid] {
        let texts = texts(&corpus, split);
        assert!(texts.len() > 150);
        assert!(texts.chunks(2).all(|pair| pair[0].starts_with("line") && pair[1].is_empty()), "{split:?}");
    }
    assert_eq!(corpus.manifest.splits.values().map(|info| info.documents).sum::<u64>(), 800);
}

#[test]
fn equal_texts_are_in_one_split() {
    let text: String = (0..600).map(|i| format!("{} {}\n", if i < 300 { "LINE" } else { "line" }, i % 300)).collect();
    let mut set = Set::new(&[("train.txt", &text)]);
    set.corpus.test_fraction = 0.5;
    let corpus = set.prepare();
    let fold =
        |split| texts(&corpus, split).iter().map(|text| text.to_lowercase()).collect::<std::collections::BTreeSet<_>>();
    assert!(fold(Split::Train).is_disjoint(&fold(Split::Test)));
}

#[test]
fn duplicates_and_held_out_text_leave_train() {
    let words = |from: u32, count: u32| (from..from + count).map(|i| format!("w{i}")).collect::<Vec<_>>().join(" ");
    let train =
        [words(0, 60), words(0, 60).to_uppercase(), format!("{} end", words(0, 60)), words(1000, 60), words(2000, 60)]
            .join("\n");
    let valid = format!("{}\n{} end\n", words(1000, 60), words(2000, 60));
    let mut set = Set::new(&[("train.txt", &train), ("valid.txt", &valid)]);
    set.corpus.valid = set.paths(&["valid.txt"]);
    let mut check = |exact, near, held_out, left: &[&str], expect: [u64; 3]| {
        set.corpus.dedup.exact = exact;
        set.corpus.dedup.near = near;
        set.corpus.dedup.held_out = held_out;
        let corpus = set.prepare();
        let first: Vec<String> =
            texts(&corpus, Split::Train).iter().map(|text| text.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(first, left);
        assert_eq!(texts(&corpus, Split::Valid).len(), 2);
        let [exact, near, held_out] = expect;
        assert_eq!(corpus.manifest.duplicates, Duplicates { exact, near, held_out });
    };
    check(false, false, false, &["w0", "W0", "w0", "w1000", "w2000"], [0, 0, 0]);
    check(true, false, false, &["w0", "w0", "w1000", "w2000"], [1, 0, 0]);
    check(true, true, false, &["w0", "w1000", "w2000"], [1, 1, 0]);
    check(true, true, true, &["w0"], [1, 1, 2]);
    check(false, false, true, &["w0", "W0", "w0", "w2000"], [0, 0, 1]);
    set.corpus.dedup.exact = true;
    set.corpus.dedup.near = true;
    set.prepare();
    let rejects: Vec<String> = set
        .rejects()
        .iter()
        .map(|reject| format!("{} {}", reject["rule"].as_str().unwrap(), reject["position"]))
        .collect();
    assert_eq!(rejects, ["exact_duplicate 2", "near_duplicate 3", "held_out 4", "held_out 5"]);
    assert!(set.rejects()[0]["value"].as_str().unwrap().ends_with("train.txt:1"));
    assert!(set.rejects()[3]["value"].as_str().unwrap().ends_with("valid.txt:2"));
}

#[test]
fn records_without_text_are_dropped_and_shown() {
    let rows = r#"{"text": "some words"}
{"text": " \u0000 "}
{"text": "more words"}
"#;
    let set = Set::new(&[("train.jsonl", rows)]);
    let corpus = set.prepare();
    assert_eq!(texts(&corpus, Split::Train), ["some words", "more words"]);
    let rejects = set.rejects();
    assert_eq!((rejects.len(), &rejects[0]["rule"], &rejects[0]["position"]), (1, &"empty".into(), &2.into()));
    assert_eq!(corpus.manifest.losses(), [("dropped by empty".to_owned(), 1)]);
}

#[test]
fn nothing_left_says_why() {
    let mut set = Set::new(&[("train.txt", "a b\n\n")]);
    set.corpus.filter.min_words = Some(3);
    let message = set.try_prepare(1).unwrap_err().to_string();
    assert!(
        message.contains("`corpus.train`") && message.contains("of 2 documents none is: min_words dropped 2"),
        "{message}"
    );
    assert_eq!(fs::read_dir(set.folder.path()).unwrap().count(), 1, "the folder under construction stayed");
    let empty = Set::new(&[("train.txt", "")]);
    assert!(empty.try_prepare(1).unwrap_err().to_string().contains("the files are empty"));
}

#[test]
fn a_run_that_fails_leaves_the_old_corpus() {
    let set = Set::new(&[("train.txt", "a b c\n")]);
    set.prepare();
    let before = set.files();
    fs::write(set.folder.path().join("train-2.txt"), b"caf\xE9 \xFF\xFE\n".repeat(10)).unwrap();
    let message = set.try_prepare(1).unwrap_err().to_string();
    assert!(message.contains("train-2.txt") && message.contains("encoding = "), "{message}");
    assert_eq!(set.files(), before);
    assert_eq!(fs::read_dir(set.folder.path()).unwrap().count(), 3);
}

#[test]
fn the_corpus_folder_is_no_input_and_no_other_folder_is_replaced() {
    let mut set = Set::new(&[("train.txt", "a b c\n")]);
    set.corpus.train = set.paths(&[""]);
    set.corpus.filter.min_words = Some(1);
    assert!(!set.try_prepare(1).unwrap().skipped);
    assert!(set.try_prepare(1).unwrap().skipped, "rejects.jsonl was read as text");
    let mine = set.folder.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("thesis.doc"), "years of work").unwrap();
    set.corpus.dir = mine.clone();
    assert!(set.try_prepare(1).unwrap_err().to_string().contains("\"thesis.doc\", which is no part of a corpus"));
    assert!(mine.join("thesis.doc").exists());
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let set = Set::new(&[("train.txt", "a b c d\n")]);
    let dir = &set.corpus.dir;
    let check = |damage: fn(&Path), says: &str| {
        set.prepare();
        damage(dir);
        let error = Corpus::open(dir).and_then(|corpus| corpus.verify()).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        fs::remove_dir_all(dir).unwrap();
    };
    let replace = |path: &Path, from: &str, to: &str| {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    };
    check(|dir| fs::remove_file(dir.join("manifest.json")).unwrap(), "manifest.json");
    check(
        |dir| {
            let path = dir.join("tokenizer.json");
            let text = fs::read_to_string(&path).unwrap() + " ";
            fs::write(path, text).unwrap();
        },
        "tokenizer.json: hash",
    );
    check(
        |dir| {
            let path = dir.join("cleaning.json");
            let text = fs::read_to_string(&path).unwrap().replace("\"lowercase\": false", "\"lowercase\": true");
            fs::write(path, text).unwrap();
        },
        "cleaning.json: hash",
    );
    check(
        |dir| {
            let path = dir.join("train-00000.bin");
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 2]).unwrap();
        },
        "train-00000.bin: 32 bytes; expected 34 bytes",
    );
    check(
        |dir| {
            let path = dir.join("train-00000.bin");
            let mut bytes = fs::read(&path).unwrap();
            bytes[24] ^= 1;
            fs::write(path, bytes).unwrap();
        },
        "train-00000.bin: SHA-256",
    );
    let corpus = set.prepare();
    replace(
        &dir.join("manifest.json"),
        &format!("\"vocab_size\": {},", corpus.tokenizer.vocab_size()),
        "\"vocab_size\": 7,",
    );
    assert!(Corpus::open(dir).unwrap_err().to_string().contains("vocabulary size"));
}

#[test]
fn a_tokenizer_from_a_file() {
    let set = Set::new(&[("train.txt", "a b c\n")]);
    let hash = set.prepare().tokenizer.hash().to_owned();
    let file = set.folder.path().join("tokenizer.json");
    fs::copy(set.corpus.dir.join("tokenizer.json"), &file).unwrap();
    let mut other = Set::new(&[("train.txt", "b c d\n")]);
    other.tokenizer.file = Some(file);
    let corpus = other.prepare();
    assert_eq!(corpus.tokenizer.hash(), hash);
    assert_eq!(texts(&corpus, Split::Train).len(), 1);
    let unknown = corpus.tokenizer.special(Special::Unk);
    assert_eq!(corpus.stream(Split::Train).unwrap().unwrap().get(2), unknown);
}

#[test]
fn what_a_tokenizer_file_cannot_do_is_refused_before_reading() {
    let mut set = Set::new(&[("train.txt", "a <unk> c\n")]);
    set.tokenizer.specials_in_text = vec!["<unk>".into()];
    set.prepare();
    let file = set.folder.path().join("tokenizer.json");
    fs::copy(set.corpus.dir.join("tokenizer.json"), &file).unwrap();
    let text = set.folder.path().join("train.txt");
    // Text that cannot be read shows which comes first.
    let check = |specials: &[&str], says: &str| {
        let mut set = Set::new(&[]);
        set.corpus.train = vec![text.display().to_string()];
        set.tokenizer.file = Some(file.clone());
        set.tokenizer.specials_in_text = specials.iter().map(|&special| special.into()).collect();
        let message = set.try_prepare(1).map_err(|error| error.to_string()).err().unwrap_or_default();
        assert!(message.contains(says) && message.is_empty() == says.is_empty(), "{specials:?}: {message}");
    };
    check(&[], "");
    check(&["<unk>"], "");
    check(&["<eos>"], "`tokenizer.specials_in_text` = [\"<eos>\"]: allowed: none, or what `tokenizer.file`");
    check(&["<unk>", "<eos>"], "says: {\"<unk>\"}");
    fs::write(&text, b"caf\xE9\n").unwrap();
    fs::write(&file, "{}").unwrap();
    check(&[], "tokenizer.json: ");
}

#[cfg(unix)]
#[test]
fn text_from_a_pipe_is_refused() {
    let mut set = Set::new(&[("train.txt", "a b c\n")]);
    let pipe = set.folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (_reader, writer) = std::io::pipe().unwrap();
    let open = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
    for path in [pipe.display().to_string(), open] {
        set.corpus.train = vec![path.clone()];
        let message = set.try_prepare(1).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("`corpus.train` = {path:?}")) && message.contains("read twice"),
            "{message}"
        );
    }
}

#[test]
fn text_to_score_is_read_as_the_corpus_was() {
    let mut set = Set::new(&[("train.txt", "one two three\n"), ("valid.txt", "One, two!\n\n four\n")]);
    set.corpus.valid = set.paths(&["valid.txt"]);
    set.corpus.clean.lowercase = true;
    set.corpus.clean.remove_punctuation = true;
    let corpus = set.prepare();
    let cleaner = Cleaner::open(&set.corpus.dir.join("cleaning.json")).unwrap();
    let text = tokenize_files("corpus.valid", &set.corpus.valid, &cleaner, &corpus.tokenizer).unwrap();
    let stream = corpus.stream(Split::Valid).unwrap().unwrap();
    assert_eq!(text.tokens, (0..stream.len()).map(|i| stream.get(i)).collect::<Vec<_>>());
    assert_eq!((text.documents, text.words, text.bytes, text.unknown), (3, 3, 14, 1));
    assert_eq!(text.bytes, corpus.manifest.splits[&Split::Valid].bytes);
}

/// Prepares a published corpus and compares the tokens of its splits with the literature; skipped where `data/` is absent.
fn check_counts(files: [&str; 3], vocab_size: usize, expect: [u64; 3]) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/lm");
    if !data.join(files[0]).exists() {
        println!("skipped: there is no {}", data.join(files[0]).display());
        return;
    }
    let mut set = Set::new(&[]);
    let path = |i: usize| vec![data.join(files[i]).display().to_string()];
    (set.corpus.train, set.corpus.valid, set.corpus.test) = (path(0), path(1), path(2));
    set.corpus.unit = Unit::Line;
    // WikiText-2 counts words that are a single zero-width character, which cleaning would remove.
    set.corpus.clean.control_characters = false;
    set.tokenizer.vocab_size = vocab_size;
    set.tokenizer.specials_in_text = vec!["<unk>".into()];
    let corpus = set.prepare();
    assert_eq!(Split::ALL.map(|split| corpus.manifest.splits[&split].tokens), expect);
    assert_eq!(corpus.tokenizer.vocab_size(), vocab_size);
    corpus.verify().unwrap();
    for (split, tokens) in Split::ALL.into_iter().zip(expect) {
        assert_eq!(corpus.stream(split).unwrap().unwrap().len(), tokens);
    }
}

#[test]
fn penn_treebank_has_the_published_counts() {
    // 9,999 types and <eos> are the literature's 10,000; <unk> is one of the types, and <pad>, <bos>, <sep> and <mask> come on top.
    check_counts(
        ["ptb/ptb.train.txt.gz", "ptb/ptb.valid.txt.gz", "ptb/ptb.test.txt.gz"],
        10_004,
        [929_589, 73_760, 82_430],
    );
}

#[test]
fn wikitext_2_has_the_published_counts() {
    let files =
        ["wikitext-2/wiki.train.tokens.gz", "wikitext-2/wiki.valid.tokens.gz", "wikitext-2/wiki.test.tokens.gz"];
    check_counts(files, 33_282, [2_088_628, 217_646, 245_569]);
}
