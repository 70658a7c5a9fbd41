//! The nodes that a text is read into, their positions, and the errors.

use super::node::{Node, Value};
use super::read::read;
use super::report::{Position, Report};

fn scalar(line: usize, column: usize, text: &str, plain: bool) -> Node {
    Node {
        position: Position { line, column },
        value: Value::Scalar {
            text: String::from(text),
            plain,
        },
    }
}

fn nodes(text: &str) -> Node {
    let mut report = Report::default();
    let node = read(text, &mut report);
    assert_eq!(report, Report::default(), "{text}");
    node.expect("YAML")
}

/// The only error, and where it is.
fn error(text: &str) -> (Position, String) {
    let mut report = Report::default();
    assert_eq!(read(text, &mut report), None, "{text}");
    let findings = report.findings();
    (findings[0].position, findings[0].message.clone())
}

fn values(node: &Node) -> Vec<Node> {
    match &node.value {
        Value::Map(pairs) => pairs.iter().map(|(_, value)| value.clone()).collect(),
        Value::List(items) => items.clone(),
        Value::Null | Value::Scalar { .. } => Vec::new(),
    }
}

#[test]
fn scalars_are_read_as_written_with_their_positions() {
    let text = "a: 0123\nb: 'yes'\nü: yes\nd: \"t\\tö\"\ne: |\n  block\nf: &x 1_000\ng: *x\nh: !!str 0x1F\n\
                i: !tag &y\n  \"q\"\nj: 1e3\n";
    let expected = [
        scalar(1, 4, "0123", true),
        scalar(2, 4, "yes", false),
        scalar(3, 4, "yes", true),
        scalar(4, 4, "t\tö", false),
        scalar(5, 4, "block\n", false),
        scalar(7, 4, "1_000", true),
        scalar(7, 4, "1_000", true),
        scalar(9, 4, "0x1F", false),
        scalar(10, 4, "q", false),
        scalar(12, 4, "1e3", true),
    ];
    assert_eq!(values(&nodes(text)), expected);
}

#[test]
fn tags_set_the_type_of_a_scalar() {
    let text = "a: !!bool yes\nb: !!int 010\nc: &x !!bool\n  \"on\"\nd: [!!str true, !!int \"1_000\", *x]\n\
                e: !!binary |\n  aGVs\n  bG8=\nf: \"!!bool yes\"\n!!str g: !!null\n";
    let all = values(&nodes(text));
    let expected = [
        scalar(1, 4, "yes", true),
        scalar(2, 4, "010", true),
        scalar(3, 4, "on", true),
    ];
    assert_eq!(all[..3], expected);
    let items = [
        scalar(5, 5, "true", false),
        scalar(5, 17, "1_000", true),
        scalar(3, 4, "on", true),
    ];
    assert_eq!(values(&all[3]), items);
    assert_eq!(all[4], scalar(6, 4, "hello", false));
    assert_eq!(all[5], scalar(9, 4, "!!bool yes", false));
    assert_eq!(all[6].value, Value::Null);
    let (position, why) = error("a:\n  b: !!bool perhaps\n");
    assert_eq!(position, Position { line: 2, column: 6 });
    assert!(why.contains("\"perhaps\" is not a valid !!bool"), "{why}");
    assert!(error("a: !!binary x y\n").1.contains("base64"));
}

#[test]
fn null_and_empty_text_are_distinct() {
    let text = "a:\nb: ~\nc: null\nd: ''\ne: \"null\"\n";
    let nulls = values(&nodes(text))
        .iter()
        .map(|node| node.value == Value::Null)
        .collect::<Vec<_>>();
    assert_eq!(nulls, [true, true, true, false, false]);
    assert_eq!(nodes("").value, Value::Null);
    assert_eq!(nodes("# only a comment\n").value, Value::Null);
    assert_eq!(nodes("x").position, Position { line: 1, column: 1 });
}

#[test]
fn duplicate_keys_are_kept() {
    assert_eq!(values(&nodes("a: 1\na: 2\n")).len(), 2);
}

#[test]
fn syntax_errors_have_line_and_column() {
    assert_eq!(error("a:\n  b: c: d\n").0, Position { line: 2, column: 7 });
    assert_eq!(error("a:\n\tb: 1\n").0, Position { line: 2, column: 1 });
    assert!(error("a: *nobody\n").1.contains("unknown anchor"));
    for bad in ['\u{1}', '\u{7f}', '\u{9f}', '\u{ffff}'] {
        let text = format!("a: 1\r\n\u{fc}: x{bad}\nc: 2\n");
        assert_eq!(error(&text).0, Position { line: 2, column: 5 }, "{bad:?}");
    }
}

#[test]
fn a_document_that_exceeds_a_limit_is_rejected() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    error(&laughs);
    let long = format!(
        "a: &a '{}'\nb: [{}]\n",
        "x".repeat(500_000),
        "*a, ".repeat(1000)
    );
    error(&long);
    assert!(error(&"[".repeat(1 << 20)).1.contains("nested deeper"));
    assert!(error(&"- ".repeat(1000)).1.contains("recursion"));
    assert!(
        error(&format!("{}: 1\n", "k".repeat(300)))
            .1
            .contains("longer than")
    );
}

#[test]
fn only_the_first_document_is_used() {
    let mut report = Report::default();
    let node = read("---\na: 1\n---\nb: 2\n", &mut report).expect("YAML");
    assert_eq!(values(&node), [scalar(2, 4, "1", true)]);
    assert_eq!(report.findings().len(), 1);
}
