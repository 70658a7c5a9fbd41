//! What can be asked.

use std::time::Duration;

use bytes::Bytes;
use form_urlencoded::{Serializer, byte_serialize};
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
    .remove(b'/')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b':')
    .remove(b'=')
    .remove(b'@');

/// One request, for whichever member.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path and the query.
    pub target: String,
    /// The body; none for a request without one.
    pub body: Option<Body>,
    /// How long to wait for the answer; none for as long as it takes.
    pub timeout: Option<Duration>,
}

/// What a request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Names and values, encoded as a form is.
    Form(Bytes),
    /// JSON.
    Json(Bytes),
}

impl Body {
    /// The bytes, and the type they are sent as.
    pub(super) fn parts(&self) -> (&Bytes, &'static str) {
        match self {
            Self::Form(bytes) => (bytes, "application/x-www-form-urlencoded"),
            Self::Json(bytes) => (bytes, "application/json"),
        }
    }
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
    /// The same, as etcd 0.4 called it; from 2.0 on servers take no notice.
    pub consistent: bool,
    /// Hidden keys too, from a server that lists them when asked.
    pub hidden: bool,
}

/// What to write, and on what condition.
#[derive(Clone, Debug, Default)]
pub struct Put {
    /// The value, any bytes.
    pub value: Option<Bytes>,
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
            body: None,
            timeout: Some(ANSWER_TIMEOUT),
        }
    }

    /// A long poll for the next change of a key, or with `recursive` of what is below it, from index
    /// `since` on, or from now on. It has no limit of time.
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
    /// The request that reads `key`.
    pub fn request(&self, key: &str) -> Request {
        let query = [
            ("consistent", self.consistent.then_some("true")),
            ("hidden", self.hidden.then_some("true")),
            ("quorum", self.quorum.then_some("true")),
            ("recursive", Some(word(self.recursive))),
            ("sorted", Some(word(self.sorted))),
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

    /// The conditions go into the query and what is written into the form, as clients always did it.
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
        let flag = |flag: bool| (flag || !compared).then_some(word(flag));
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
fn word(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// The path and the query for a key; parameters without a value are left out.
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

/// A key as every server knows it: from the root, without empty parts, `.` and `..`.
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
