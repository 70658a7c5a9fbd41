//! The page of a path. Pure.

use hyper::Method;

/// The directory of all tokens in the tree, and the prefix of its paths in the keys API.
pub(super) const REGISTRY: &str = "/_etcd/registry";

/// The same directory in the keys API, as old configurations name it.
const KEYS: &str = "/v2/keys/_etcd/registry";

/// Number of digits of a token.
pub(super) const TOKEN_DIGITS: usize = 32;

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page<'a> {
    /// What the service is, and how to create a token.
    Welcome,
    /// Create a token.
    New,
    /// Whether the service can serve.
    Health,
    /// The rules for web crawlers.
    Robots,
    /// The directory of a token, or a key in it.
    Token {
        /// The token.
        token: &'a str,
        /// The key in the directory: the id of a member, `_state` or `_config/size`; none for the directory.
        key: Option<&'a str>,
    },
}

/// The page of a clean path; none if there is none.
pub(super) fn page(path: &str) -> Option<Page<'_>> {
    match path {
        "/" => return Some(Page::Welcome),
        "/new" => return Some(Page::New),
        "/health" => return Some(Page::Health),
        "/robots.txt" => return Some(Page::Robots),
        _ => {}
    }
    let path = path.strip_prefix(KEYS).unwrap_or(path).strip_prefix('/')?;
    let (token, key) = path.split_once('/').unwrap_or((path, ""));
    let key = key.strip_suffix('/').unwrap_or(key);
    let is_valid = key == "_config/size" || !key.contains('/');
    let key = Some(key).filter(|key| !key.is_empty());
    (is_token(token) && is_valid).then_some(Page::Token { token, key })
}

impl Page<'_> {
    /// The allowed methods, if `method` is not one of them.
    pub(super) fn not_allowed(self, method: &Method) -> Option<&'static str> {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let (serves, allow) = match self {
            // The original service accepted any method.
            Self::New => (true, ""),
            Self::Token { key: Some(_), .. } => (
                reads || matches!(*method, Method::PUT | Method::DELETE),
                "GET, HEAD, PUT, DELETE",
            ),
            Self::Welcome | Self::Health | Self::Robots | Self::Token { key: None, .. } => {
                (reads, "GET, HEAD")
            }
        };
        (!serves).then_some(allow)
    }
}

fn is_token(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == TOKEN_DIGITS && text.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn pages() {
        let token = |key| Some(Page::Token { token: TOKEN, key });
        for (path, expected) in [
            ("/", Some(Page::Welcome)),
            ("/new", Some(Page::New)),
            ("/health", Some(Page::Health)),
            ("/robots.txt", Some(Page::Robots)),
            ("/TOKEN", token(None)),
            ("/TOKEN/", token(None)),
            ("/TOKEN/node1", token(Some("node1"))),
            ("/TOKEN/node1/", token(Some("node1"))),
            ("/TOKEN/_state", token(Some("_state"))),
            ("/TOKEN/_config/size", token(Some("_config/size"))),
            ("/v2/keys/_etcd/registry/TOKEN", token(None)),
            ("/v2/keys/_etcd/registry/TOKEN/node1", token(Some("node1"))),
            ("/TOKEN/a/b", None),
            ("/TOKEN0", None),
            ("/0123456789ABCDEF0123456789ABCDEF", None),
            ("/token", None),
            ("/v2/keys/_etcd/registry", None),
            ("/v2/keys/_etcd/registry/", None),
            ("/v2/keys/TOKEN", None),
            ("/v2/keys/", None),
        ] {
            assert_eq!(page(&path.replace("TOKEN", TOKEN)), expected, "{path}");
        }
    }

    #[test]
    fn methods() {
        let token = |key| Page::Token { token: TOKEN, key };
        assert_eq!(Page::New.not_allowed(&Method::DELETE), None);
        assert_eq!(token(Some("x")).not_allowed(&Method::PUT), None);
        assert!(token(Some("x")).not_allowed(&Method::POST).is_some());
        assert!(token(None).not_allowed(&Method::PUT).is_some());
        assert!(Page::Health.not_allowed(&Method::POST).is_some());
    }
}
