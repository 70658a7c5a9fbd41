//! The pages of the peer port that members ask for, against the JSON that `docs/peer-protocol.md` shows.

use std::path::Path;

use serde_json::{Value, json};

use crate::cluster::{Cluster, TIMEOUT};
use crate::http::{Answer, request};

/// The block after `<!-- sample: NAME -->`.
fn sample(name: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/peer-protocol.md");
    let text = std::fs::read_to_string(page).expect("the page");
    let marker = format!("<!-- sample: {name} -->\n```json\n");
    let (_, after) = text.split_once(&marker).expect("the sample's marker");
    let (block, _) = after.split_once("```").expect("the end of the block");
    block.to_owned()
}

/// Which fields there are, and of which types; of a list, those of its first element.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => json!("true or false"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
        Value::Array(list) => list.iter().take(1).map(shape).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(name, value)| (name.clone(), shape(value)))
                .collect()
        }
    }
}

fn assert_looks_like(name: &str, answer: &Answer) {
    let shown: Value = serde_json::from_str(&sample(name)).expect("JSON");
    assert_eq!(shape(&answer.json()), shape(&shown), "{name}");
}

#[test]
fn joining_and_the_roster_answer_as_shown() {
    let cluster = Cluster::start_with(1, &["-cluster-active-size=3"]);
    let peer = cluster.members[0].peer;
    let join = |body: &str| {
        let answer = request(peer, "POST", "/oxetcd/join", body, TIMEOUT);
        answer.expect("an answer")
    };
    let first = sample("join");
    let answer = join(&first);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_looks_like("joined", &answer);
    let names = |answer: &Answer| answer.body.matches("\"name\"").count();
    assert_eq!(names(&answer), 2);
    assert_eq!(join(&first).status, 200, "asking again changes nothing");

    let roster = request(peer, "GET", "/oxetcd/roster", "", TIMEOUT).expect("an answer");
    assert_eq!((roster.status, names(&roster)), (200, 2));
    assert_looks_like("roster", &roster);

    let other = |id: &str, host: &str| {
        let body = first.replace("a1b2c3d4e5f60718", id);
        let body = body.replace("10.0.0.2", host);
        body.replace("\"n2\"", &format!("\"{host}\""))
    };
    assert_eq!(join(&other("0000000000000003", "10.0.0.3")).status, 200);
    let refused = join(&other("0000000000000004", "10.0.0.4"));
    assert_eq!(refused.status, 403);
    assert_looks_like("full", &refused);

    // Its cluster is another one.
    assert_eq!(join(&sample("join again")).status, 412);
    assert_eq!(join("{\"oxetcd\":9}").status, 400);
    let read = request(peer, "GET", "/oxetcd/join", "", TIMEOUT).expect("an answer");
    assert_eq!(read.status, 405);
}
