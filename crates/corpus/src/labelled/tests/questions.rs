//! Questions and answers, as they should be and as they should not.

use std::io::Cursor;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::labelled::{Answer, Labels, Question, open_questions, questions_from_reader};
use crate::{Encoding, Error};

fn read(name: &str, content: &[u8], answers: Labels) -> Result<Vec<Question>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    open_questions(&path, answers, Encoding::UTF_8)?.collect()
}

fn answer(text: &str, start: usize) -> Answer {
    Answer { text: text.into(), start }
}

const SQUAD: &str = r#"{"version": "v2.0", "data": [
    {"title": "T", "paragraphs": [{"context": "Über Köln, 𝔖tadt am Rhein", "qas": [
        {"id": "x", "question": "Which?", "answers": [
            {"text": "Köln", "answer_start": 5}, {"text": "𝔖tadt am Rhein", "answer_start": 11}]},
        {"id": "y", "question": "", "answers": [], "is_impossible": true}
    ]}, {"context": "", "qas": []}]},
    {"title": "U", "paragraphs": []},
    {"title": "V", "paragraphs": [{"context": "Rhein", "qas": [
        {"question": "What?", "id": 3, "answers": [{"answer_start": 0, "text": "Rhein"}]}]}]}
]}"#;

const ROWS: &str = r#"{"id":"x","context":"Über Köln, 𝔖tadt am Rhein","question":"Which?","answers":{"text":["Köln","𝔖tadt am Rhein"],"answer_start":[5,11]}}

{"context":"Über Köln, 𝔖tadt am Rhein","question":"","answers":{"text":[],"answer_start":[]}}
{"answers":[{"text":"Rhein","answer_start":0,"more":1}],"question":"What?","context":"Rhein"}
"#;

#[test]
fn both_forms_are_read() {
    let answers =
        [Some(vec![answer("Köln", 6), answer("𝔖tadt am Rhein", 13)]), Some(vec![]), Some(vec![answer("Rhein", 0)])];
    let check = |found: Vec<Question>, numbers: [u64; 3]| {
        assert_eq!(found.iter().map(|question| question.number).collect::<Vec<_>>(), numbers);
        assert_eq!(
            found.iter().map(|question| question.question.as_str()).collect::<Vec<_>>(),
            ["Which?", "", "What?"]
        );
        assert!(found.iter().map(|question| &question.answers).eq(&answers));
        assert!(Arc::ptr_eq(&found[0].context, &found[1].context));
        assert_eq!(&*found[2].context, "Rhein");
    };
    for labels in [Labels::Required, Labels::Optional] {
        check(read("a.json", SQUAD.as_bytes(), labels).unwrap(), [1, 2, 3]);
        check(read("a.JSON.gz", &gzip(SQUAD.as_bytes()), labels).unwrap(), [1, 2, 3]);
        check(read("a.jsonl", ROWS.as_bytes(), labels).unwrap(), [1, 3, 4]);
    }
    let rows = questions_from_reader(Cursor::new(ROWS), Path::new("-"), Labels::Required, Encoding::UTF_8).unwrap();
    check(rows.map(Result::unwrap).collect(), [1, 3, 4]);

    let squad = read("a.json", SQUAD.as_bytes(), Labels::Required).unwrap();
    assert_eq!(squad[2].record["id"].get(), "3");
    let rows = read("a.jsonl", ROWS.as_bytes(), Labels::Required).unwrap();
    assert_eq!(serde_json::to_string(&rows[0].record).unwrap(), ROWS.lines().next().unwrap());
}

#[test]
fn answers_may_be_unknown() {
    let rows = "{\"context\":\"a\",\"question\":\"b\"}\n{\"context\":\"a\",\"question\":\"b\",\"answers\":null}\n";
    let found = read("a.jsonl", rows.as_bytes(), Labels::Optional).unwrap();
    assert!(found.len() == 2 && found.iter().all(|question| question.answers.is_none()));
    let found = read("a.csv", b"question,context\nb,a\n", Labels::Optional).unwrap();
    assert!(found.len() == 1 && found[0].answers.is_none());
    check_error(read("a.jsonl", rows.as_bytes(), Labels::Required), &["a.jsonl:1: no `answers` beside"]);
    check_error(read("a.csv", b"question,context\nb,a\n", Labels::Required), &["a.csv:1: no `answers` beside"]);
}

#[test]
fn answers_that_do_not_stand_there_are_named() {
    let check = |answers: &str, parts: &[&str]| {
        let row = format!("{{\"context\":\"Über Köln am Rhein am Meer\",\"question\":\"?\",\"answers\":{answers}}}");
        let content = format!("{}\n{row}\n", row.replace(answers, "[]"));
        let found = read("a.jsonl", content.as_bytes(), Labels::Optional).unwrap();
        assert!(found[1].answers.is_none(), "nobody needs them");
        let result = read("a.jsonl", content.as_bytes(), Labels::Required);
        check_error(result.map(|found| found.len()), &[parts, &["a.jsonl:2: "]].concat());
        let squad = format!(
            "{{\"data\":[{{\"paragraphs\":[{{\"context\":\"Über Köln am Rhein am Meer\",\"qas\":[{{\"question\":\"?\",\"answers\":{answers}}}]}}]}}]}}"
        );
        check_error(read("a.json", squad.as_bytes(), Labels::Required), &[parts, &["a.json: question 1: "]].concat());
    };
    check(
        "[{\"text\":\"Köln\",\"answer_start\":6}]",
        &["answer_start 6 of the answer \"Köln\": the context has \"öln am Rhein am Meer\" there; expected 5, where"],
    );
    check(
        "{\"text\":[\"am\",\"am\"],\"answer_start\":[19,18]}",
        &["answer_start 18 of the answer \"am\"", "expected 10, where it stands first"],
    );
    check(
        "[{\"text\":\"Bonn\",\"answer_start\":0}]",
        &["\"Bonn\": the context has \"Über Köln", "expected an answer that stands in the context"],
    );
    check("[{\"text\":\"Meer\",\"answer_start\":26}]", &["the context has 26 characters; expected 22, where"]);
    check("[{\"text\":\"Meer!\",\"answer_start\":22}]", &["the context has \"Meer\" there; expected an answer that"]);
    check("[{\"text\":\"Meer\",\"answer_start\":18446744073709551615}]", &["the context has 26 characters"]);
    check("[{\"text\":\"\",\"answer_start\":0}]", &["an answer without text"]);
    check("[{\"text\":\"Meer\",\"answer_start\":-1}]", &["`answers` of another form (invalid value: integer `-1`"]);
    check("[{\"text\":\"Meer\",\"answer_start\":1.5}]", &["`answers` of another form"]);
    check("[{\"text\":\"Meer\"}]", &["`answers` of another form (missing field `answer_start`"]);
    check("{\"text\":\"Meer\",\"answer_start\":22}", &["`answers` of another form"]);
    check("{\"text\":[\"Meer\"],\"answer_start\":[]}", &["1 texts and 0 starts in `answers`"]);
    check("\"Meer\"", &["`answers` of another form"]);
}

#[test]
fn what_is_wrong_is_named() {
    let check = |name: &str, content: &str, parts: &[&str]| {
        check_error(read(name, content.as_bytes(), Labels::Required).map(|found| found.len()), parts);
    };
    check(
        "a.jsonl",
        "{\"question\":\"a\",\"answers\":[]}",
        &["a.jsonl:1: no `context` beside `question`", "a string `context`"],
    );
    check("a.jsonl", "{\"context\":\"a\",\"question\":7,\"answers\":[]}", &["a.jsonl:1: `question` is a number"]);
    check(
        "a.json",
        "{\"data\":\n[{}]}",
        &["a.json:2: JSON of another form (missing field `paragraphs`", "as SQuAD has it"],
    );
    check("a.json", "", &["a.json:1: JSON of another form (EOF"]);
    check("a.json", "[]", &["a.json:1: JSON of another form"]);
    check("a.json", &"[".repeat(100_000), &["a.json:1: JSON of another form"]);
    check("a.txt", "", &["a.txt: ", "named .jsonl"]);
    let gone = open_questions(Path::new("no/such.json"), Labels::Required, Encoding::UTF_8);
    check_error(gone, &["no/such.json: "]);
}

#[test]
fn nothing_comes_after_an_error() {
    let content = "{\"question\":1}\n{\"context\":\"a\",\"question\":\"b\"}\n";
    let mut found =
        questions_from_reader(Cursor::new(content), Path::new("-"), Labels::Optional, Encoding::UTF_8).unwrap();
    assert!(found.next().unwrap().is_err());
    assert!(found.next().is_none());
}

proptest! {
    #[test]
    fn any_part_of_a_context_is_found(context in "\\PC{1,20}", from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let characters: Vec<char> = context.chars().collect();
        let (from, to) = (from.index(characters.len()), to.index(characters.len()));
        let (from, to) = (from.min(to), from.max(to));
        let text: String = characters[from..=to].iter().collect();
        let row = serde_json::json!({"context": context, "question": "", "answers": [{"text": text, "answer_start": from}]});
        let found = read("a.jsonl", row.to_string().as_bytes(), Labels::Required).unwrap();
        let answer = &found[0].answers.as_ref().unwrap()[0];
        prop_assert_eq!(&context[answer.start..answer.start + answer.text.len()], text);
        prop_assert_eq!(context[..answer.start].chars().count(), from);
    }

    #[test]
    fn any_edit_of_the_json_is_questions_or_an_error(place in any::<prop::sample::Index>(), by in "[\\PC\"\\[\\]{},0-9]{0,3}") {
        for (name, content) in [("a.json", SQUAD), ("a.jsonl", ROWS)] {
            let places: Vec<_> = content.char_indices().collect();
            let (at, old) = places[place.index(places.len())];
            let edited = format!("{}{by}{}", &content[..at], &content[at + old.len_utf8()..]);
            for question in read(name, edited.as_bytes(), Labels::Optional).into_iter().flatten() {
                for answer in question.answers.into_iter().flatten() {
                    prop_assert!(question.context[answer.start..].starts_with(&answer.text));
                }
            }
        }
    }
}
