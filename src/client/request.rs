//! Requests of the v2 API.

use std::time::Duration;

use bytes::Bytes;
use form_urlencoded::{Serializer, byte_serialize};
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The timeout for a response, except for a watch.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The characters of a path that are percent-encoded.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b':')
    .remove(b'=')
    .remove(b'@');

/// One request, for any member.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path and the query.
    pub target: String,
    /// The body; none for a request without one.
    pub body: Option<Body>,
    /// Timeout for the response; none for no timeout.
    pub timeout: Option<Duration>,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A form, URL-encoded.
    Form(Bytes),
    /// JSON.
    Json(Bytes),
}

impl Body {
    /// The bytes, and their content type.
    pub(super) fn parts(&self) -> (&Bytes, &'static str) {
        match self {
            Self::Form(bytes) => (bytes, "application/x-www-form-urlencoded"),
            Self::Json(bytes) => (bytes, "application/json"),
        }
    }
}

/// Options of a read.
#[derive(Clone, Debug, Default)]
pub struct Get {
    /// Include all nodes below the key.
    pub recursive: bool,
    /// Sort by key.
    pub sorted: bool,
    /// Read through the Raft log: nothing older than the time of the request.
    pub quorum: bool,
    /// The same for etcd 0.4; servers from 2.0 on ignore it.
    pub consistent: bool,
    /// Include hidden keys, where the server supports it.
    pub hidden: bool,
}

/// A write and its conditions.
#[derive(Clone, Debug, Default)]
pub struct Put {
    /// The value: any bytes.
    pub value: Option<Bytes>,
    /// The node is a directory.
    pub directory: bool,
    /// The TTL in seconds.
    pub ttl: Option<u64>,
    /// Whether the key must exist (or must not).
    pub prev_exist: Option<bool>,
    /// The value the key must have.
    pub prev_value: Option<String>,
    /// The modifiedIndex the key must have.
    pub prev_index: Option<u64>,
}

/// A removal and its conditions.
#[derive(Clone, Debug, Default)]
pub struct Delete {
    /// Also remove an empty directory.
    pub directory: bool,
    /// Also remove a directory with all its content.
    pub recursive: bool,
    /// The value the key must have.
    pub prev_value: Option<String>,
    /// The modifiedIndex the key must have.
    pub prev_index: Option<u64>,
}

impl Request {
    /// A page, such as `/version`.
    pub fn page(path: &str) -> Self {
        Self {
            method: Method::GET,
            target: String::from(path),
            body: None,
            timeout: Some(RESPONSE_TIMEOUT),
        }
    }

    /// A long poll for the next change of a key, or with `recursive` of the keys below it, from index `since`
    /// on, or from now on. It has no timeout.
    pub fn watch(key: &str, recursive: bool, since: Option<u64>) -> Self {
        let since = since.map(|since| since.to_string());
        let query = [
            ("recursive", recursive.then_some("true")),
            ("wait", Some("true")),
            ("waitIndex", since.as_deref()),
        ];
        Self {
            timeout: None,
            ..Self::page(&target(key, &query))
        }
    }

    /// A stream of events. Only members of this project send all of them if `since` is in the past.
    pub(super) fn stream(key: &str, recursive: bool, since: Option<u64>) -> Self {
        let mut request = Self::watch(key, recursive, since);
        request.target.push_str("&stream=true");
        request
    }

    /// Whether the request may be sent twice.
    pub(super) fn is_repeatable(&self) -> bool {
        // A watch resumes at its index, which only its caller knows.
        self.method == Method::GET && self.timeout.is_some()
    }
}

impl Get {
    /// The request that reads `key`.
    pub fn request(&self, key: &str) -> Request {
        let query = [
            ("consistent", self.consistent.then_some("true")),
            ("hidden", self.hidden.then_some("true")),
            ("quorum", self.quorum.then_some("true")),
            ("recursive", Some(flag_text(self.recursive))),
            ("sorted", Some(flag_text(self.sorted))),
        ];
        Request::page(&target(key, &query))
    }
}

impl Put {
    /// The request that writes `key`.
    pub fn request(&self, key: &str) -> Request {
        self.with_method(Method::PUT, key)
    }

    pub(super) fn request_in_order(&self, directory: &str) -> Request {
        self.with_method(Method::POST, directory)
    }

    /// The conditions are in the query and value and TTL in the form, as in the clients of 0.4.
    fn with_method(&self, method: Method, key: &str) -> Request {
        let prev_index = self.prev_index.map(|index| index.to_string());
        let prev_exist = self.prev_exist.map(|exist| exist.to_string());
        let query = [
            ("dir", self.directory.then_some("true")),
            ("prevExist", prev_exist.as_deref()),
            ("prevIndex", prev_index.as_deref()),
            ("prevValue", self.prev_value.as_deref()),
        ];
        Request {
            method,
            body: self.form(),
            ..Request::page(&target(key, &query))
        }
    }

    fn form(&self) -> Option<Body> {
        let mut form = String::new();
        if let Some(value) = &self.value {
            form.push_str("value=");
            form.extend(byte_serialize(value));
        }
        if let Some(ttl) = self.ttl {
            let and = if form.is_empty() { "" } else { "&" };
            form = format!("{form}{and}ttl={ttl}");
        }
        (!form.is_empty()).then(|| Body::Form(form.into()))
    }
}

impl Delete {
    /// The request that removes `key`.
    pub fn request(&self, key: &str) -> Request {
        let prev_index = self.prev_index.map(|index| index.to_string());
        let compared = self.prev_value.is_some() || prev_index.is_some();
        let flag = |flag: bool| (flag || !compared).then_some(flag_text(flag));
        let query = [
            ("dir", flag(self.directory)),
            ("prevIndex", prev_index.as_deref()),
            ("prevValue", self.prev_value.as_deref()),
            ("recursive", flag(self.recursive)),
        ];
        Request {
            method: Method::DELETE,
            ..Request::page(&target(key, &query))
        }
    }
}

/// A flag in a query.
fn flag_text(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// The path and the query for a key; parameters without a value are omitted.
fn target(key: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let key = clean(key);
    let key = utf8_percent_encode(&key, ESCAPED);
    let mut query = Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() {
        format!("/v2/keys{key}")
    } else {
        format!("/v2/keys{key}?{query}")
    }
}

/// A key in the form that all servers use: absolute, without empty components, `.` and `..`.
fn clean(key: &str) -> String {
    let mut parts = Vec::new();
    for part in key.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
