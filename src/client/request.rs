//! What can be asked.

use std::time::Duration;

use bytes::Bytes;
use form_urlencoded::Serializer;
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// How long to wait for an answer, unless it is a watch.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What stands for itself in a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// One request, for whichever member.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path and the query.
    pub target: String,
    /// The form; none for a request without a body.
    pub form: Option<Bytes>,
    /// How long to wait for the answer; none for as long as it takes.
    pub timeout: Option<Duration>,
}

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct Get {
    /// All that is below, too.
    pub recursive: bool,
    /// In order of the keys.
    pub sorted: bool,
    /// Nothing older than what was there when asked.
    pub quorum: bool,
}

/// What to write, and on what condition.
#[derive(Clone, Debug, Default)]
pub struct Put {
    /// The value.
    pub value: Option<String>,
    /// Make or mean a directory.
    pub directory: bool,
    /// Seconds to live.
    pub ttl: Option<u64>,
    /// Whether it must, or must not, exist.
    pub prev_exist: Option<bool>,
    /// The value it must have.
    pub prev_value: Option<String>,
    /// The index it must have.
    pub prev_index: Option<u64>,
}

/// What to remove, and on what condition.
#[derive(Clone, Debug, Default)]
pub struct Delete {
    /// An empty directory may go.
    pub directory: bool,
    /// A directory may go with all it holds.
    pub recursive: bool,
    /// The value it must have.
    pub prev_value: Option<String>,
    /// The index it must have.
    pub prev_index: Option<u64>,
}

impl Request {
    /// A page, such as `/version`.
    pub fn page(path: &str) -> Self {
        Self {
            method: Method::GET,
            target: String::from(path),
            form: None,
            timeout: Some(ANSWER_TIMEOUT),
        }
    }

    /// A long poll.
    pub(super) fn watch(key: &str, recursive: bool, since: Option<u64>) -> Self {
        let since = since.map(|since| since.to_string());
        let query = [
            ("wait", Some("true")),
            ("recursive", recursive.then_some("true")),
            ("waitIndex", since.as_deref()),
        ];
        Self {
            timeout: None,
            ..Self::page(&target(key, &query))
        }
    }

    /// Events as one stream. Only members of this project answer with all of them when `since` is in the past.
    pub(super) fn stream(key: &str, recursive: bool, since: Option<u64>) -> Self {
        let mut request = Self::watch(key, recursive, since);
        request.target.push_str("&stream=true");
        request
    }

    /// Whether it does no harm to ask twice.
    pub(super) fn may_be_repeated(&self) -> bool {
        // A watch goes on from where it was, which only its caller knows.
        self.method == Method::GET && self.timeout.is_some()
    }
}

impl Get {
    pub(super) fn request(&self, key: &str) -> Request {
        let query = [
            ("recursive", self.recursive.then_some("true")),
            ("sorted", self.sorted.then_some("true")),
            ("quorum", self.quorum.then_some("true")),
        ];
        Request::page(&target(key, &query))
    }
}

impl Put {
    pub(super) fn request(&self, key: &str) -> Request {
        self.with_method(Method::PUT, key)
    }

    pub(super) fn request_in_order(&self, directory: &str) -> Request {
        self.with_method(Method::POST, directory)
    }

    fn with_method(&self, method: Method, key: &str) -> Request {
        let ttl = self.ttl.map(|ttl| ttl.to_string());
        let prev_index = self.prev_index.map(|index| index.to_string());
        let prev_exist = self.prev_exist.map(|exist| exist.to_string());
        let form = query(&[
            ("value", self.value.as_deref()),
            ("dir", self.directory.then_some("true")),
            ("ttl", ttl.as_deref()),
            ("prevExist", prev_exist.as_deref()),
            ("prevValue", self.prev_value.as_deref()),
            ("prevIndex", prev_index.as_deref()),
        ]);
        Request {
            method,
            form: Some(Bytes::from(form)),
            ..Request::page(&target(key, &[]))
        }
    }
}

impl Delete {
    pub(super) fn request(&self, key: &str) -> Request {
        let prev_index = self.prev_index.map(|index| index.to_string());
        let query = [
            ("dir", self.directory.then_some("true")),
            ("recursive", self.recursive.then_some("true")),
            ("prevValue", self.prev_value.as_deref()),
            ("prevIndex", prev_index.as_deref()),
        ];
        Request {
            method: Method::DELETE,
            ..Request::page(&target(key, &query))
        }
    }
}

fn target(key: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let key = utf8_percent_encode(key.trim_start_matches('/'), ESCAPED);
    let query = query(parameters);
    if query.is_empty() {
        format!("/v2/keys/{key}")
    } else {
        format!("/v2/keys/{key}?{query}")
    }
}

fn query(parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.finish()
}
