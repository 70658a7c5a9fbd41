//! Which page of the service a path names. Pure.

use hyper::Method;

/// Where the registry is in the tree, and what a path may begin with.
pub(super) const REGISTRY: &str = "/_etcd/registry";

/// The same as a page of the keys API, which old configurations name.
const KEYS: &str = "/v2/keys/_etcd/registry";

/// The digits of a token.
pub(super) const TOKEN_DIGITS: usize = 32;

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page<'a> {
    /// What this is, and how to make a token.
    Welcome,
    /// A new token.
    New,
    /// Whether the service can serve.
    Health,
    /// What robots are asked.
    Robots,
    /// A token's directory, or a key in it.
    Token {
        /// The token.
        token: &'a str,
        /// The key in its directory: a machine's name, `_state` or `_config/size`; none for the directory.
        key: Option<&'a str>,
    },
}

/// The page at a clean path.
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
    let named = key == "_config/size" || !key.contains('/');
    let key = Some(key).filter(|key| !key.is_empty());
    (is_token(token) && named).then_some(Page::Token { token, key })
}

impl Page<'_> {
    /// What to allow instead, if this page does not serve `method`.
    pub(super) fn refuses(self, method: &Method) -> Option<&'static str> {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let (serves, allow) = match self {
            // The old service never looked at the method.
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
        assert_eq!(Page::New.refuses(&Method::DELETE), None);
        assert_eq!(token(Some("x")).refuses(&Method::PUT), None);
        assert!(token(Some("x")).refuses(&Method::POST).is_some());
        assert!(token(None).refuses(&Method::PUT).is_some());
        assert!(Page::Health.refuses(&Method::POST).is_some());
    }
}
