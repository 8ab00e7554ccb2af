//! From questions about contexts to answers: through the binary.

use std::{fs, io::Write as _, process::Stdio};

use serde_json::{Value, json};

use crate::program::{Ran, Workplace, root};

const CONFIG: &str = r#"
[run]
dir = "reader"
seed = 3
device = "cpu"
threads = 1

[finetune]
pretrained = "pretrained"
layer_decay = 0.2
dropout = { input = 0.0, hidden = 0.0, weight = 0.0, output = 0.0 }

[task]
kind = "question_answering"
train = ["train.jsonl"]
valid = ["valid.jsonl"]
test = ["valid.jsonl"]
hidden = 16
dropout = 0.1
longest_answer = 12

[train]
epochs = 12.0
batch_size = 16
sequence_length = 200
learning_rate = 5e-3
schedule = "linear"
precision = "fp32"
log_every = 10
checkpoint_every = 10
"#;

/// With the questions of the sample, `train.jsonl` and `valid.jsonl`, and the config `q.toml`.
fn workplace() -> Workplace {
    let place = Workplace::new();
    for name in ["train.jsonl", "valid.jsonl"] {
        fs::copy(root().join("tests/data/qa").join(name), place.path(name)).unwrap();
    }
    place.write("q.toml", CONFIG);
    place
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(parse).collect()
}

/// The characters from `start` to `end`.
fn part(text: &Value, start: &Value, end: &Value) -> String {
    let place = |number: &Value| number.as_u64().unwrap() as usize;
    let (start, end) = (place(start), place(end));
    text.as_str().unwrap().chars().skip(start).take(end - start).collect()
}

#[test]
fn a_reader_is_trained_scored_and_asked() {
    let place = workplace();
    let planned = place.succeed("train -c q.toml --dry-run");
    assert!(planned.contains("240 questions about 120 contexts") && !place.path("reader").exists(), "{planned}");
    // Long enough that the last bits of the arithmetic do not decide how much is learned.
    let table = place.succeed("train -c q.toml --set train.epochs=24.0");
    for part in ["training", "validation exact match", "test f1", "best checkpoint"] {
        assert!(table.contains(part), "{table} lacks {part:?}");
    }
    let scores = parse(&place.succeed("evaluate reader --data valid.jsonl --json"));
    // A guess is right one time in fifty; of the right kind, one in three.
    assert!(scores["f1"].as_f64().unwrap() > 25.0, "{scores}");
    assert_eq!((&scores["examples"], &scores["units"]), (&json!(40), &json!("words")));
    assert_eq!(parse(&place.read("reader/test.json"))["scores"]["f1"], scores["f1"]);
    errors_are_listed(&place, &scores);
    answers_are_parts_of_their_contexts(&place, &scores);
    gates_hold(&place);
    let inspected = parse(&place.succeed("inspect reader --json"));
    assert_eq!((&inspected["task"], &inspected["reader"]["window"]), (&json!("question_answering"), &json!(200)));
    assert!(place.succeed("inspect reader").contains("reader"));
}

fn errors_are_listed(place: &Workplace, scores: &Value) {
    place.succeed("evaluate reader --data valid.jsonl --errors wrong.jsonl");
    let wrong = rows(&place.read("wrong.jsonl"));
    let expect = 40.0 * (1.0 - scores["exact_match"].as_f64().unwrap() / 100.0);
    assert_eq!(wrong.len(), expect.round() as usize);
    let asked = rows(&place.read("valid.jsonl"));
    for error in &wrong {
        let row = &asked[error["row"].as_u64().unwrap() as usize - 1];
        assert_eq!((&error["question"], &error["gold"]), (&row["question"], &row["answers"]["text"]));
        assert!(row["context"].as_str().unwrap().contains(error["predicted"].as_str().unwrap()));
    }
    assert!(wrong.is_sorted_by(|a, b| a["probability"].as_f64() >= b["probability"].as_f64()));
}

fn answers_are_parts_of_their_contexts(place: &Workplace, scores: &Value) {
    place.succeed("predict reader --input valid.jsonl --output out.jsonl --n-best 3");
    let (asked, out) = (rows(&place.read("valid.jsonl")), rows(&place.read("out.jsonl")));
    assert_eq!(out.len(), 40);
    let mut right = 0;
    for (row, given) in asked.iter().zip(&out) {
        for field in ["id", "context", "question", "answers"] {
            assert_eq!(row[field], given[field], "fields are kept");
        }
        let candidates = given["candidates"].as_array().unwrap();
        assert_eq!(candidates.len(), 3);
        for candidate in candidates {
            assert_eq!(candidate["answer"], part(&row["context"], &candidate["start"], &candidate["end"]));
        }
        for field in ["answer", "start", "end", "score"] {
            assert_eq!(candidates[0][field], given[field]);
        }
        assert!(candidates.is_sorted_by(|a, b| a["score"].as_f64() >= b["score"].as_f64()));
        right += usize::from(row["answers"]["text"][0] == given["answer"]);
    }
    let exact = scores["exact_match"].as_f64().unwrap();
    // Articles and the like do not count there.
    assert!(right as f64 * 2.5 <= exact + 1e-9, "{right} right, {exact} %");

    let odd = concat!(
        "{\"id\": 1, \"context\": \"Zoe\\u0301 🎻 sold a  wooden\\u200b violin on Friday.\", \"question\": \"When?\", \"by\": {\"a\": 1.50}}\n",
        "{\"question\": \"Who?\", \"context\": \"\"}\n\n",
        "{\"question\": \"\", \"context\": \"北京是中国的首都。\", \"answers\": null}\n",
    );
    place.write("odd.jsonl", odd);
    place.succeed("predict reader --input odd.jsonl --output odd_out.jsonl");
    let out = rows(&place.read("odd_out.jsonl"));
    for (row, given) in odd.lines().filter(|line| !line.is_empty()).map(parse).zip(&out) {
        match given["answer"].as_str().unwrap() {
            "" => {
                assert_eq!(
                    (&row["context"], &given["start"], &given["score"]),
                    (&json!(""), &Value::Null, &json!(0.0))
                );
            }
            answer => assert_eq!(answer, part(&row["context"], &given["start"], &given["end"])),
        }
    }
    assert!(place.read("odd_out.jsonl").contains("\"by\":{\"a\": 1.50}"), "as it was written");
    // From standard input to standard output: the same.
    let mut child = place.command("predict reader").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(odd.as_bytes()).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.status, ran.stdout), (Some(0), place.read("odd_out.jsonl")), "{}", ran.stderr);
    // In batches of one: the same answers.
    place.succeed("predict reader --input valid.jsonl --output one.jsonl --n-best 3 --batch-size 1");
    for (a, b) in rows(&place.read("one.jsonl")).iter().zip(rows(&place.read("out.jsonl"))) {
        assert_eq!((&a["answer"], &a["start"]), (&b["answer"], &b["start"]));
    }
}

fn gates_hold(place: &Workplace) {
    let evaluate = "evaluate reader --data valid.jsonl";
    assert_eq!(place.run(&format!("{evaluate} --fail-if f1<1")).status, Some(0));
    assert_eq!(place.run(&format!("{evaluate} --fail-if exact_match<=100")).status, Some(1));
    assert_eq!(place.run(&format!("{evaluate} --fail-if accuracy<1")).status, Some(2));
}

#[test]
fn files_of_squad_are_read_and_questions_may_have_no_answer() {
    let place = workplace();
    let mut paragraphs = Vec::new();
    for (number, row) in rows(&place.read("train.jsonl")).iter().take(60).enumerate() {
        let answer = json!({"text": row["answers"]["text"][0], "answer_start": row["answers"]["answer_start"][0]});
        let answers = if number.is_multiple_of(2) { json!([answer]) } else { json!([]) };
        let question =
            if number.is_multiple_of(2) { row["question"].clone() } else { json!("Why is the moon so far?") };
        let asked = json!({"id": number, "question": question, "answers": answers, "is_impossible": number % 2 == 1});
        paragraphs.push(json!({"context": row["context"], "qas": [asked]}));
    }
    place.write(
        "squad.json",
        &json!({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}).to_string(),
    );
    let files = "--set task.train=[\"squad.json\"] --set task.valid=[\"squad.json\"] --set task.test=[]";
    let ran = place.run(&format!("train -c q.toml {files}"));
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    for part in ["squad.json: question 2: a question without an answer", "task.unanswerable"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    place.succeed(&format!(
        "train -c q.toml {files} --set task.unanswerable=true --set train.epochs=6.0 --set run.save_as=int8"
    ));
    for model in ["reader", "reader/saved"] {
        let scores = parse(&place.succeed(&format!("evaluate {model} --data squad.json --json")));
        assert!(scores["none_recognised"].as_f64().unwrap() > 90.0, "{scores}");
        assert_eq!(scores.get("saved_in").is_some(), model.ends_with("saved"));
    }
    place.succeed("predict reader --input squad.json --output out.jsonl");
    let out = rows(&place.read("out.jsonl"));
    assert_eq!(out.len(), 60);
    for row in &out {
        let none = row["no_answer"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&none), "{row}");
        if row["answer"] == "" {
            assert_eq!((&row["start"], &row["score"]), (&Value::Null, &row["no_answer"]));
        }
    }
}

#[test]
fn a_run_resumes_bit_for_bit() {
    let place = workplace();
    let train = "train -c q.toml --set train.epochs=2.0 --set train.keep=100 --set finetune.unfreeze=gradual \
        --set task.dropout=0.3 --set train.sequence_length=40 --set task.stride=25";
    let trace = |dir: &str| {
        let last = place.read(&format!("{dir}/last"));
        let weights = format!("{dir}/checkpoints/{}/model.safetensors", last.trim());
        [weights, format!("{dir}/metrics.jsonl"), format!("{dir}/best")]
            .map(|name| fs::read(place.path(&name)).unwrap())
    };
    place.succeed(&format!("{train} --set run.dir=whole"));
    place.succeed(train);
    for entry in fs::read_dir(place.path("reader/checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("step-0000010") {
            fs::remove_dir_all(path).unwrap();
        }
    }
    place.succeed(&format!("{train} --resume"));
    assert!(trace("reader") == trace("whole"));
}

#[test]
fn questions_that_do_not_fit_are_named() {
    let place = workplace();
    let ran = place.run("train -c q.toml --set task.valid=[] --set task.valid_last=500");
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    for part in ["`task.valid_last` = 500", "none of the 240 questions"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    let good = place.read("train.jsonl");
    let check = |name: &str, text: &str, status: i32, says: &[&str]| {
        place.write(name, text);
        let ran = place.run(&format!("train -c q.toml --set task.train=[\"{name}\"]"));
        assert_eq!(ran.status, Some(status), "{}", ran.stderr);
        let last = ran.stderr.lines().last().unwrap_or_default();
        for part in says {
            assert!(last.contains(part), "{last} lacks {part:?}");
        }
        assert!(!place.path("reader").exists(), "{last}");
    };
    let row =
        |answers: &str| format!("{good}{{\"context\": \"a cat\", \"question\": \"q\", \"answers\": {answers}}}\n");
    let beside = row("{\"text\": [\"cat\"], \"answer_start\": [1]}");
    check("beside.jsonl", &beside, 1, &["beside.jsonl:241", "answer_start 1", "\"cat\"", "2, where it stands first"]);
    let beyond = row("{\"text\": [\"cat\"], \"answer_start\": [99]}");
    check("beyond.jsonl", &beyond, 1, &["beyond.jsonl:241", "answer_start 99", "5 characters"]);
    let absent = row("[{\"text\": \"dog\", \"answer_start\": 2}]");
    check("absent.jsonl", &absent, 1, &["absent.jsonl:241", "\"dog\"", "stands in the context"]);
    check(
        "uneven.jsonl",
        &row("{\"text\": [\"a\"], \"answer_start\": []}"),
        1,
        &["uneven.jsonl:241", "1 texts and 0 starts"],
    );
    check("none.jsonl", &row("[]"), 1, &["none.jsonl:241", "without an answer", "task.unanswerable"]);
    check("lacks.jsonl", "{\"context\": \"a\", \"question\": \"b\"}\n", 1, &["lacks.jsonl:1", "answers"]);
    check(
        "number.jsonl",
        "{\"context\": 7, \"question\": \"b\", \"answers\": []}\n",
        1,
        &["number.jsonl:1", "context"],
    );
    check("empty.jsonl", "", 2, &["task.train", "questions to learn from"]);
    check("broken.json", "{\"data\": [", 1, &["broken.json:1"]);
    let ran = place.run("train -c q.toml --set task.test=[\"beside.jsonl\"]");
    assert!(ran.status == Some(1) && ran.stderr.contains("beside.jsonl:241"), "{}", ran.stderr);
    let ran = place.run("predict pretrained --n-best 2 --input valid.jsonl");
    assert!(ran.status == Some(2) && ran.stderr.contains("--n-best"), "{}", ran.stderr);
}

/// A context of ten thousand words, a question as long, an answer that cleaning removes, and one across every window's border.
#[test]
fn long_contexts_and_odd_answers_are_learned_from() {
    let place = workplace();
    let long = format!("{}The key is under the mat.", "There was nothing to be seen here. ".repeat(1400));
    let start = long.chars().count() - "under the mat.".len();
    let row = |context: &str, question: &str, answer: &str, start: usize| {
        json!({"context": context, "question": question, "answers": {"text": [answer], "answer_start": [start]}})
            .to_string()
            + "\n"
    };
    let text = [
        row(&long, "Where is the key?", "under the mat", start),
        row("a \u{200b} b", &"why ".repeat(10_000), "\u{200b}", 2),
        row(&long, "What was there?", &"nothing to be seen here. There was ".repeat(9), 10),
        row("The key is here.", "Where is the key?", "here", 11),
    ];
    place.write("long.jsonl", &text.concat());
    let train = "train -c q.toml --set task.train=[\"long.jsonl\"] --set task.valid=[\"long.jsonl\"] --set task.test=[] \
        --set train.sequence_length=60 --set train.epochs=30.0 --set train.evaluate_every=1000 --set train.batch_size=4";
    let table = place.succeed(train);
    assert!(table.contains("not learned from") && table.contains("2 questions"), "{table}");
    place.succeed("predict reader --input long.jsonl --output out.jsonl --batch-size 64");
    let out = rows(&place.read("out.jsonl"));
    for row in &out {
        assert_eq!(row["answer"], part(&row["context"], &row["start"], &row["end"]));
    }
    assert_eq!(out[0]["answer"], "under the mat", "{}", out[0]["start"]);
}
