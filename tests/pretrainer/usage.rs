//! What can be typed wrongly.

use crate::program::Workplace;

#[test]
fn bad_usage_is_status_2() {
    let place = Workplace::new();
    let check = |args: &str, says: &str| {
        let ran = place.run(args);
        assert_eq!(ran.status, Some(2), "{args}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args}: {} lacks {says:?}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{args}: {}", ran.stdout);
    };
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
