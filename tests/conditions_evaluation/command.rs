//! `portcullis condition eval`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conditions/vectors.jsonl")
}

fn eval(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["condition", "eval"])
        .args(arguments)
        .output()
        .unwrap()
}

fn run_vectors(rows: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    std::fs::write(&file, rows).unwrap();
    eval(&["--vectors", file.to_str().unwrap()])
}

/// Evaluates `condition` in the context that `json` describes.
fn explain(condition: &str, json: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("context.json");
    std::fs::write(&file, json).unwrap();
    eval(&[
        "--condition",
        condition,
        "--context",
        file.to_str().unwrap(),
    ])
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn all_vectors_pass() {
    let rows = std::fs::read_to_string(vectors()).unwrap();
    let output = eval(&["--vectors", vectors().to_str().unwrap()]);
    let expected = format!("{} passed, 0 failed\n", rows.lines().count());
    assert_eq!(stdout(&output), expected, "{}", stderr(&output));
    assert!(output.status.success());
    assert!(rows.lines().count() >= 183);
}

#[test]
fn every_vector_that_expects_something_else_is_named() {
    let rows = std::fs::read_to_string(vectors()).unwrap();
    let mut turned = String::new();
    let mut ids = Vec::new();
    for line in rows.lines() {
        let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
        row["expected"] = match row["expected"].as_bool() {
            Some(true) => "error".into(),
            Some(false) => true.into(),
            None => false.into(),
        };
        ids.push(row["id"].as_str().unwrap().to_owned());
        turned.push_str(&row.to_string());
        turned.push('\n');
    }
    let output = run_vectors(&turned);
    assert_eq!(output.status.code(), Some(1));
    let out = stdout(&output);
    for id in &ids {
        let named = |line: &str| line.starts_with(&format!("{id}: expected "));
        assert!(out.lines().any(named), "{id} is not named in\n{out}");
    }
    let last = format!("0 passed, {} failed", ids.len());
    assert_eq!(out.lines().last(), Some(&*last));
}

#[test]
fn every_part_is_shown_with_its_value_and_with_what_it_looked_at() {
    let output = explain(
        "!(ActionMatches{'*/getSecret/action'}) OR @Resource[Contoso.Test/things:n] NumericEquals 3 \
         OR @Resource[Contoso.Test/things/tags:Project<$key_case_sensitive$>] StringEquals 'Baker' \
         OR @Request[Contoso.Test/things:gone] StringEquals 'x'",
        r#"{"action": "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            "resource": {"contoso.test/THINGS:N": "3",
                         "Contoso.Test/things/tags": {"Project": "Cascade", "project": "Baker"}}}"#,
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let expected = "\
undefined !(ActionMatches{'*/getSecret/action'}) OR @Resource[Contoso.Test/things:n] NumericEquals 3 OR @Resource[Contoso.Test/things/tags:Project<$key_case_sensitive$>] StringEquals 'Baker' OR @Request[Contoso.Test/things:gone] StringEquals 'x'
  false     !(ActionMatches{'*/getSecret/action'})
    true      ActionMatches{'*/getSecret/action'}
  undefined @Resource[Contoso.Test/things:n] NumericEquals 3
            @Resource[Contoso.Test/things:n] is '3', which the operator cannot compare
  false     @Resource[Contoso.Test/things/tags:Project<$key_case_sensitive$>] StringEquals 'Baker'
            @Resource[Contoso.Test/things/tags:Project<$key_case_sensitive$>] is 'Cascade'
  undefined @Request[Contoso.Test/things:gone] StringEquals 'x'
            @Request[Contoso.Test/things:gone] is missing

It comes to undefined: a role assignment with this condition does not grant; a deny assignment denies.
";
    assert_eq!(stdout(&output), expected);
}

#[test]
fn and_beside_or_is_accepted_on_demand_only() {
    let folder = tempfile::tempdir().unwrap();
    let context = folder.path().join("context.json");
    std::fs::write(&context, r#"{"action": "a"}"#).unwrap();
    let condition = folder.path().join("condition.txt");
    std::fs::write(
        &condition,
        "ActionMatches{'a'} AND ActionMatches{'a'} OR ActionMatches{'b'}",
    )
    .unwrap();
    let files = [
        "--condition-file",
        condition.to_str().unwrap(),
        "--context",
        context.to_str().unwrap(),
    ];
    assert_eq!(eval(&files).status.code(), Some(1));
    let compatible = eval(&[&files[..], &["--compatible"]].concat());
    assert!(compatible.status.success(), "{}", stderr(&compatible));
    assert!(stdout(&compatible).contains("It comes to true"));
}

#[test]
fn what_is_wrong_with_a_context_is_said_with_its_place() {
    for (json, told) in [
        (r#"{"resource": {}}"#, "missing field `action`"),
        (
            r#"{"action": "a", "suboperation": "b"}"#,
            "unknown field `suboperation`",
        ),
        (
            r#"{"action": "a", "request": {"X:y": 1, "x:Y": 2}}"#,
            "`request` in the context has `x:Y` twice",
        ),
        (
            r#"{"action": "a", "resource": {"X/tags:k<$key_case_sensitive$>": "v"}}"#,
            "\"X/tags\": {\"key\": \"value\"}",
        ),
        (
            r#"{"action": "a", "principal": {"X/tags": {"k": ["v", {}]}}}"#,
            "`principal` in the context: `X/tags.k[1]` holds an object in a list",
        ),
    ] {
        let output = explain("ActionMatches{'a'}", json);
        assert_eq!(output.status.code(), Some(1), "{json}");
        assert!(
            stderr(&output).contains(told),
            "{json}\n{}",
            stderr(&output)
        );
    }
}
