//! A response, and the JSON of the keys API in it.

use bytes::Bytes;
use hyper::header::SERVER;
use serde::Deserialize;

use super::error::Error;
use super::response::{Response, read_number};
use crate::cluster::Address;

/// The prefix of this project's `Server` header.
const SERVER_PREFIX: &[u8] = b"oxetcd/";

/// The deepest JSON that is parsed: keys have up to 128 levels, each with its node and its list of nodes.
const DEPTH_MAX: usize = 300;

/// A whole response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The member that sent it, after redirects.
    pub member: Address,
    /// Its status.
    pub status: u16,
    /// The store's index (`X-Etcd-Index`).
    pub index: Option<u64>,
    /// The index of the Raft log (`X-Raft-Index`).
    pub raft_index: Option<u64>,
    /// The Raft term (`X-Raft-Term`).
    pub raft_term: Option<u64>,
    /// Whether it comes from a server of this project.
    pub is_oxetcd: bool,
    /// Its body.
    pub body: Bytes,
}

/// An event of the keys API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The action.
    pub action: String,
    /// The node after the action.
    pub node: Node,
    /// The node before the action.
    pub prev_node: Option<Node>,
}

/// A node of the tree: a file or a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Node {
    /// The key; empty for the root.
    pub key: String,
    /// The value of a file.
    pub value: Option<String>,
    /// Whether it is a directory.
    pub dir: bool,
    /// When it expires, in the server's format.
    pub expiration: Option<String>,
    /// The seconds until it expires.
    pub ttl: Option<i64>,
    /// Its children.
    pub nodes: Vec<Node>,
    /// The index of its last change.
    pub modified_index: u64,
    /// The index of its creation.
    pub created_index: u64,
}

impl Node {
    /// The key for output: later servers omit the key of the root.
    pub fn shown_key(&self) -> &str {
        if self.key.is_empty() { "/" } else { &self.key }
    }
}

impl Answer {
    pub(super) fn new(member: Address, response: Response) -> Self {
        Self {
            member,
            status: response.status.as_u16(),
            index: read_number(&response.headers, "x-etcd-index"),
            raft_index: read_number(&response.headers, "x-raft-index"),
            raft_term: read_number(&response.headers, "x-raft-term"),
            is_oxetcd: response
                .headers
                .get(SERVER)
                .is_some_and(|name| name.as_bytes().starts_with(SERVER_PREFIX)),
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
    /// [`Error::Api`] if the body has an error of the API; [`Error::InvalidResponse`] if it has neither.
    pub fn event(&self) -> Result<Event, Error> {
        let invalid = |error: serde_json::Error| Error::InvalidResponse {
            member: self.member.clone(),
            status: self.status,
            cause: format!("not a response of the v2 keys API ({error})"),
        };
        if self.is_success() {
            return parse(&self.body).map_err(invalid);
        }
        match serde_json::from_slice(&self.body) {
            Ok(error) => Err(Error::Api(error)),
            Err(error) => Err(invalid(error)),
        }
    }
}

/// Parse an event. Directories may be nested deeper than serde_json's limit; the depth is checked first, since
/// each level takes stack.
fn parse(body: &[u8]) -> serde_json::Result<Event> {
    let mut json = serde_json::Deserializer::from_slice(body);
    if depth(body) <= DEPTH_MAX {
        json.disable_recursion_limit();
    }
    let event = Event::deserialize(&mut json)?;
    json.end()?;
    Ok(event)
}

/// The nesting depth of brackets and braces.
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
    fn deep_trees_are_parsed_and_deeper_ones_refused() {
        assert!(parse(tree(128).as_bytes()).is_ok());
        assert!(parse(tree(100_000).as_bytes()).is_err());
        assert!(parse("[".repeat(1 << 20).as_bytes()).is_err());
        assert!(parse(format!("{} x", tree(1)).as_bytes()).is_err());
        assert_eq!(depth(br#"{"a":["]\"}}",{"b":"\\"}]}"#), 3);
    }
}
