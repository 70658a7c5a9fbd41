//! The conventions that matter, as tests: what a layer may not name, that no modules go in circles, what is
//! said once, which words were retired, how long things may get, and what may not be left behind.
//!
//! Comments, texts in quotes and unit tests are left out where it is about what code does.

mod graph;
mod layers;
mod once;
mod source;
mod words;

use std::fs;

use source::{code, functions, is_test, names, root, sources};

/// What may not be left behind, anywhere.
const LEFT_BEHIND: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("TO", "DO"),
];

/// Endings of type names that say nothing.
const EMPTY_NAMES: &[&str] = &[
    "Manager", "Helper", "Helpers", "Util", "Utils", "Info", "Data",
];

/// The most lines of a file.
const FILE_MAX: usize = 600;

/// Nine in ten files are shorter than this.
const FILE_LONG: usize = 450;

/// The most lines of a function.
const FUNCTION_MAX: usize = 70;

/// Ninety-five in a hundred functions are shorter than this.
const FUNCTION_LONG: usize = 50;

fn report(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn nothing_is_left_behind() {
    let mut complaints = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        for (place, line) in source.text.lines().enumerate() {
            for word in LEFT_BEHIND.iter().filter(|word| names(line, word)) {
                complaints.push(format!("{}:{}: {word}", source.path, place + 1));
            }
        }
    }
    report(&complaints);
}

#[test]
fn files_are_short() {
    let lengths: Vec<(usize, String)> = sources("src")
        .into_iter()
        .chain(sources("tests"))
        .map(|source| (source.text.lines().count(), source.path))
        .collect();
    let over = |max: usize| -> Vec<String> {
        let long = lengths.iter().filter(|(length, _)| *length > max);
        long.map(|(length, path)| format!("{path}: {length} lines"))
            .collect()
    };
    report(&over(FILE_MAX));
    let long = over(FILE_LONG);
    assert!(
        long.len() * 10 <= lengths.len(),
        "more than one file in ten is long:\n{}",
        long.join("\n")
    );
}

#[test]
fn functions_are_short() {
    let lengths: Vec<(usize, String)> = sources("src")
        .iter()
        .filter(|source| !is_test(&source.path))
        .flat_map(|source| {
            let named =
                move |(name, length)| (length, format!("{}: {name}: {length} lines", source.path));
            functions(&source.text).into_iter().map(named)
        })
        .collect();
    let over = |max: usize| -> Vec<String> {
        let long = lengths.iter().filter(|(length, _)| *length > max);
        long.map(|(_, shown)| shown.clone()).collect()
    };
    assert!(lengths.len() > 100, "the functions were not found");
    report(&over(FUNCTION_MAX));
    let long = over(FUNCTION_LONG);
    assert!(
        long.len() * 20 <= lengths.len(),
        "more than one function in twenty is long:\n{}",
        long.join("\n")
    );
}

#[test]
fn types_have_names_that_say_something() {
    let mut complaints = Vec::new();
    for source in sources("src") {
        for (number, line) in code(&source.text) {
            let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            while let Some(word) = words.next() {
                if !matches!(word, "struct" | "enum" | "trait") {
                    continue;
                }
                let name = words.next().unwrap_or_default();
                if EMPTY_NAMES.iter().any(|empty| name.ends_with(empty)) {
                    complaints.push(format!("{}:{number}: {name}", source.path));
                }
            }
        }
    }
    report(&complaints);
}

#[test]
fn the_lints_are_on() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("text");
    for lint in [
        "unsafe_code = \"forbid\"",
        "missing_docs = \"warn\"",
        "unwrap_used = \"warn\"",
    ] {
        assert!(
            manifest.lines().any(|line| line == lint),
            "Cargo.toml lacks {lint}"
        );
    }
}

/// The checks above can fail.
mod can_fail {
    use super::*;

    #[test]
    fn functions_are_measured() {
        let text = "pub(super) async fn long<T>(\n    x: T,\n) {\n    y();\n}\n\nfn short() {}\nlet f = \"fn no()\";\n\
                    impl X {\n    const fn inner() {\n        z();\n    }\n}\n";
        assert_eq!(
            functions(text),
            [(String::from("long"), 5), (String::from("inner"), 3)]
        );
    }
}
