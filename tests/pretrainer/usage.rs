//! What can be typed wrongly.

use crate::program::Workplace;

#[test]
fn bad_usage_is_status_2() {
    let place = Workplace::new();
    let check = |args: &str, says: &str| place.refuse(args, 2, &[says]);
    check("", "Usage");
    check("pretrain", "unrecognized subcommand");
    check("run", "--config");
    check("run -c c.toml --resume --overwrite", "cannot be used with");
    check("run -c c.toml --set seed", "no `=`");
    check("evaluate model", "--text");
    check("evaluate model --text text.txt", "model: not there");
    check("evaluate . --text text.txt", "expected a bundle folder");
    check("evaluate model --text text.txt --fail-if perplexity", "'perplexity>90'");
    check("evaluate model --text text.txt --batch-size 0", "--batch-size");
    check("evaluate model --text text.txt --device gpu", "\"cuda:1\"");
    check("evaluate model --text text.txt --precision fp8", "fp32, bf16, int8");
    check("evaluate model --text text.txt --precision int8 --batch-size 2", "--batch-size 2 with --precision int8");
    check("generate model", "--prompt");
    check("generate model --prompt a", "model: not there");
    check("generate model --prompt a --temperature -1", "--temperature");
    check("generate model --prompt a --top-p 0", "`--top-p` = 0.0: allowed: a number above 0");
    check("generate model --prompt a --max-tokens many", "--max-tokens");
    check("generate model --prompt a --precision auto", "fp32, bf16, int8");
    check("inspect", "MODEL");
    check("inspect none", "none: not there");
}

/// Each cause, the command, its status, and what the message names; nothing is written.
#[test]
fn what_is_wrong_with_a_config_or_its_files_is_named() {
    let place = Workplace::new();
    let good = place.read("c.toml");
    let config = |name: &str, from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        place.write(name, &good.replacen(from, to, 1));
    };
    config("syntax.toml", "steps = 10", "steps = = 10");
    config("key.toml", "steps = 10", "stepps = 10");
    config("section.toml", "[model]", "[modell]");
    config("type.toml", "steps = 10", "steps = \"ten\"");
    config("range.toml", "hidden = 24", "hidden = 1099511627776");
    config("twice.toml", "steps = 10", "steps = 10\nsteps = 11");
    config("inside.toml", "dir = \"model\"", "dir = \"corpus/model\"");
    config("no_dir.toml", "dir = \"model\"\n", "");
    std::fs::write(place.path("bytes.toml"), [0xff, 0xfe, 0x00]).unwrap();
    place.write("empty.txt", "");
    place.write("broken.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\n");
    place.write("fields.csv", "a,b\n1,2\n");
    std::fs::write(place.path("packed.txt"), b"PK\x03\x04\x14\x00").unwrap();
    std::fs::write(place.path("text.gz"), b"\x1f\x8b\x08\x00cut off").unwrap();
    std::fs::write(place.path("columns.parquet"), b"PAR1 no parquet").unwrap();
    let corpus = |file: &str| format!("prepare -c c.toml --set corpus.train=[\"{file}\"]");
    let rows: &[(&str, &str, i32, &[&str])] = &[
        ("no config", "run -c none.toml", 2, &["none.toml"]),
        ("a folder as config", "run -c .", 2, &[".: "]),
        ("no TOML", "run -c syntax.toml", 2, &["syntax.toml:"]),
        ("no text", "run -c bytes.toml", 2, &["bytes.toml"]),
        ("a key twice", "run -c twice.toml", 2, &["twice.toml:", "steps"]),
        ("an unknown key", "run -c key.toml", 2, &["key.toml:", "stepps", "steps"]),
        ("an unknown section", "run -c section.toml", 2, &["section.toml:", "modell", "model"]),
        ("a value of another type", "run -c type.toml", 2, &["type.toml:", "train.steps", "ten"]),
        ("a value out of range", "run -c range.toml", 2, &["range.toml:", "model.hidden", "1..=65536"]),
        ("a required key", "run -c no_dir.toml", 2, &["no_dir.toml", "run.dir"]),
        ("a run inside of the corpus", "run -c inside.toml", 2, &["inside.toml:", "run.dir", "corpus.dir"]),
        ("--set of no key", "run -c c.toml --set train.stepps=1", 2, &["--set", "stepps"]),
        ("--set of another type", "run -c c.toml --set train.steps=ten", 2, &["--set", "train.steps", "ten"]),
        ("--set out of range", "run -c c.toml --set train.batch_size=0", 2, &["--set", "train.batch_size", "0"]),
        ("a rate that is no number", "run -c c.toml --set train.learning_rate=nan", 2, &["train.learning_rate"]),
        ("a device that is not there", "train -c c.toml --set run.device=cuda:63", 2, &["cuda:63"]),
        ("no corpus", "train -c c.toml", 2, &["corpus: no corpus is there", "pretrainer prepare -c c.toml"]),
        ("no text file", &corpus("none.txt"), 2, &["corpus.train", "none.txt"]),
        ("a glob that fits nothing", &corpus("*.md"), 2, &["corpus.train", "*.md"]),
        ("no text at all", &corpus("packed.txt"), 1, &["packed.txt", "a ZIP archive"]),
        ("an empty text", &corpus("empty.txt"), 2, &["corpus.train", "the files are empty"]),
        ("a broken record", &corpus("broken.jsonl"), 1, &["broken.jsonl:2", "JSON"]),
        ("a missing column", &corpus("fields.csv"), 1, &["fields.csv", "text"]),
        ("no gzip", &corpus("text.gz"), 1, &["text.gz"]),
        ("no Parquet", &corpus("columns.parquet"), 1, &["columns.parquet"]),
        ("no tokenizer", "prepare -c c.toml --set tokenizer.file=none.json", 2, &["tokenizer.file", "none.json"]),
        (
            "another file as tokenizer",
            "prepare -c c.toml --set tokenizer.file=c.toml",
            1,
            &["c.toml", "tokenizer.json"],
        ),
        ("no model to begin with", "run -c c.toml --set train.init=none", 2, &["train.init", "none"]),
        ("another file as model", "evaluate text.txt --text text.txt", 2, &["text.txt"]),
    ];
    for (cause, args, status, says) in rows {
        println!("{cause}");
        place.refuse(args, *status, says);
    }
    place.succeed("run -c c.toml --set train.steps=2");
    for (args, status, says) in [
        ("evaluate model --text none.txt", 2, "none.txt"),
        ("evaluate model --text broken.jsonl --per-line lines.jsonl", 1, "broken.jsonl:2"),
        ("evaluate model --text empty.txt --per-line lines.jsonl", 2, "no text"),
        ("evaluate model --text text.txt --per-line none/lines.jsonl", 1, "none/lines.jsonl"),
        ("evaluate model --text text.txt --per-line ./text.txt", 2, "--per-line ./text.txt: would replace text.txt"),
        ("evaluate model --text text.txt --fail-if perplexitty>1", 2, "perplexitty"),
        ("generate model --prompt a --device cuda:63", 2, "cuda:63"),
        ("train -c c.toml --resume --set train.steps=1", 2, "train.steps"),
        ("run -c c.toml --set train.steps=2 --set run.dir=again --set train.init=model/checkpoints", 2, "train.init"),
    ] {
        place.refuse(args, status, &[says]);
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Workplace::new();
    for command in ["run", "prepare", "train", "evaluate", "generate", "inspect", "find-lr"] {
        let help = place.succeed(&format!("{command} --help"));
        assert!(help.contains("Usage: pretrainer"), "{help}");
        assert!(place.succeed("--help").contains(command));
    }
    assert!(place.succeed("--version").starts_with("pretrainer "));
}
