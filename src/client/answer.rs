//! What comes back.

use std::fmt;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::SERVER;
use serde::Deserialize;

use super::Error;
use super::connection::Response;
use crate::cluster::Address;

/// How the name of a server of this project begins.
const OURS: &[u8] = b"oxetcd/";

/// The deepest JSON that is read: keys have up to 128 levels, each with its node and its list of nodes.
const DEPTH_MAX: usize = 300;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who gave it, after redirects.
    pub member: Address,
    /// Its status.
    pub status: u16,
    /// The store's index (`X-Etcd-Index`).
    pub index: Option<u64>,
    /// The index of the log (`X-Raft-Index`).
    pub raft_index: Option<u64>,
    /// The term (`X-Raft-Term`).
    pub raft_term: Option<u64>,
    /// Whether a server of this project gave it.
    pub ours: bool,
    /// Its body.
    pub body: Bytes,
}

/// What the keys API answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What was done.
    pub action: String,
    /// The node afterwards.
    pub node: Node,
    /// The node before.
    pub prev_node: Option<Node>,
}

/// A key or a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Node {
    /// The key; empty for the root.
    pub key: String,
    /// The value of a file.
    pub value: Option<String>,
    /// Whether it is a directory.
    pub dir: bool,
    /// When it goes, as the server writes it.
    pub expiration: Option<String>,
    /// In how many seconds it goes.
    pub ttl: Option<i64>,
    /// What is below it.
    pub nodes: Vec<Node>,
    /// The index of its last change.
    pub modified_index: u64,
    /// The index of its creation.
    pub created_index: u64,
}

impl Node {
    /// The key for people: later servers leave out that of the root.
    pub fn shown_key(&self) -> &str {
        if self.key.is_empty() { "/" } else { &self.key }
    }
}

/// The API's own error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    /// Its number.
    pub error_code: u64,
    /// What it means.
    pub message: String,
    /// What it is about.
    #[serde(default)]
    pub cause: String,
    /// The store's index.
    #[serde(default)]
    pub index: u64,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            error_code,
            message,
            cause,
            index,
        } = self;
        write!(f, "{error_code}: {message} ({cause}) [{index}]")
    }
}

impl Answer {
    pub(super) fn new(member: Address, response: Response) -> Self {
        Self {
            member,
            status: response.status.as_u16(),
            index: number(&response.headers, "x-etcd-index"),
            raft_index: number(&response.headers, "x-raft-index"),
            raft_term: number(&response.headers, "x-raft-term"),
            ours: response
                .headers
                .get(SERVER)
                .is_some_and(|name| name.as_bytes().starts_with(OURS)),
            body: response.body,
        }
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The event in the body.
    ///
    /// # Errors
    ///
    /// The API's error if that is there instead; [`Error::Garbage`] if neither is.
    pub fn event(&self) -> Result<Event, Error> {
        let garbage = |error: serde_json::Error| Error::Garbage {
            member: self.member.clone(),
            status: self.status,
            cause: format!("which is not the answer of a v2 keys API ({error})"),
        };
        if self.is_success() {
            return parse(&self.body).map_err(garbage);
        }
        match serde_json::from_slice(&self.body) {
            Ok(error) => Err(Error::Api(error)),
            Err(error) => Err(garbage(error)),
        }
    }
}

/// The JSON of an event. Directories may lie deeper in each other than serde_json goes by itself; how deep
/// they do is looked at first, since each level costs stack.
fn parse(body: &[u8]) -> serde_json::Result<Event> {
    let mut json = serde_json::Deserializer::from_slice(body);
    if depth(body) <= DEPTH_MAX {
        json.disable_recursion_limit();
    }
    let event = Event::deserialize(&mut json)?;
    json.end()?;
    Ok(event)
}

/// How deep brackets and braces lie in each other.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted) = (0_usize, 0, false);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if quoted => {
                bytes.next();
            }
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// A header with a number.
pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of directories, each in the one before.
    fn tree(levels: usize) -> String {
        let node = r#"{"key":"/","dir":true,"modifiedIndex":1,"createdIndex":1,"nodes":["#;
        format!(
            r#"{{"action":"get","node":{}{}}}"#,
            node.repeat(levels),
            "]}".repeat(levels)
        )
    }

    #[test]
    fn deep_trees_are_read_and_bottomless_ones_refused() {
        assert!(parse(tree(128).as_bytes()).is_ok());
        assert!(parse(tree(100_000).as_bytes()).is_err());
        assert!(parse("[".repeat(1 << 20).as_bytes()).is_err());
        assert!(parse(format!("{} x", tree(1)).as_bytes()).is_err());
        assert_eq!(depth(br#"{"a":["]\"}}",{"b":"\\"}]}"#), 3);
    }
}
