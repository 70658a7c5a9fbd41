//! Comparison of answers with the expectation of a step.

use serde_json::Value;

use crate::etcdctl::Outcome;
use crate::exchange::Answer;
use crate::pattern;

/// The compared headers: each has to be present or absent as recorded.
const HEADERS: [&str; 9] = [
    "Content-Type",
    "X-Etcd-Index",
    "X-Raft-Index",
    "X-Raft-Term",
    "Location",
    "Allow",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
];

/// The differences between an answer and the expectation of a step; `fill` puts live values into recorded texts.
pub fn differences(
    step: &Value,
    target: &str,
    answer: Option<&Answer>,
    fill: &dyn Fn(&str) -> String,
) -> Vec<String> {
    let expect = &step["expect"];
    let Some(answer) = answer else {
        return vec!["no answer".to_owned()];
    };
    let mut found = Vec::new();
    let mut check =
        |what: &str, wanted: &dyn std::fmt::Debug, got: &dyn std::fmt::Debug, same: bool| {
            if !same {
                found.push(format!("{what}: expected {wanted:?}, got {got:?}"));
            }
        };
    let pending = expect["pending"].as_bool().unwrap_or(false);
    check(
        "pending",
        &pending,
        &!answer.complete,
        pending != answer.complete,
    );
    let status = expect["status"].as_u64();
    check(
        "status",
        &status,
        &answer.status,
        status == Some(answer.status.into()),
    );
    if let Some(wanted) = expect["body"].as_str() {
        let in_order = target.to_lowercase().contains("sorted=true");
        let got = if in_order {
            answer.body.clone()
        } else {
            pattern::with_sorted_arrays(&answer.body)
        };
        let wanted = pattern::with_sorted_arrays(&fill(wanted));
        check("body", &wanted, &got, pattern::matches(&wanted, &got));
    }
    for (field, wanted) in [("has", true), ("lacks", false)] {
        for text in texts(&step[field]) {
            check(
                field,
                &text,
                &answer.body,
                answer.body.contains(&fill(text)) == wanted,
            );
        }
    }
    if let Some(wanted) = expect["allow"].as_str() {
        let got = answer.header("Allow");
        check(
            "Allow",
            &wanted,
            &got,
            words(wanted) == words(got.unwrap_or_default()),
        );
    }
    found.extend(different_headers(expect, answer, fill));
    found
}

/// The differences between the output of a command and the expectation of a step.
pub fn command_differences(
    step: &Value,
    outcome: &Outcome,
    fill: &dyn Fn(&str) -> String,
) -> Vec<String> {
    let expect = &step["expect"];
    let mut found = Vec::new();
    let pending = expect["pending"].as_bool().unwrap_or(false);
    let code = expect["code"].as_i64();
    if pending != outcome.code.is_none() || code != outcome.code.map(i64::from) {
        found.push(format!("code: expected {code:?}, got {:?}", outcome.code));
    }
    let arranged = |text: &str| {
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        if step["unordered"] == true {
            lines.sort_unstable();
        }
        lines.concat()
    };
    for (field, got) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        let wanted = expect[field].as_str().map(|wanted| arranged(&fill(wanted)));
        let got = arranged(got);
        if wanted
            .as_ref()
            .is_some_and(|wanted| !pattern::matches(wanted, &got))
        {
            found.push(format!("{field}: expected {wanted:?}, got {got:?}"));
        }
    }
    for (field, wanted) in [("has", true), ("lacks", false)] {
        let wrong =
            texts(&step[field]).filter(|text| outcome.stdout.contains(&fill(text)) != wanted);
        found.extend(wrong.map(|text| format!("{field} {text:?}: {:?}", outcome.stdout)));
    }
    found
}

fn different_headers(
    expect: &Value,
    answer: &Answer,
    fill: &dyn Fn(&str) -> String,
) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(recorded) = expect["headers"].as_object() {
        for name in HEADERS {
            let wanted = recorded.get(name).and_then(Value::as_str).map(fill);
            let got = answer.header(name);
            let same = match (&wanted, got) {
                (Some(wanted), Some(got)) => pattern::matches(wanted, got),
                (wanted, got) => wanted.is_none() == got.is_none(),
            };
            if !same {
                found.push(format!("{name}: expected {wanted:?}, got {got:?}"));
            }
        }
    }
    found
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn words(list: &str) -> std::collections::BTreeSet<&str> {
    list.split(',').map(str::trim).collect()
}
