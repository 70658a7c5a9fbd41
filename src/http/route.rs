//! Which page a path names, and which methods that allows. The paths of the peer port are in `membership::api`.

use std::borrow::Cow;

use hyper::Method;

use super::params::{Rejection, percent_decode};
use crate::membership::api::PeerPage;

/// A page, on either port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page<'a> {
    /// A key: what follows `/v2/keys`.
    Keys(&'a str),
    /// The version of the API.
    Version,
    /// Whether this member can serve.
    Health,
    /// The leader's peer URL.
    Leader,
    /// The members' client URLs.
    Machines,
    /// This member's statistics.
    SelfStats,
    /// The store's statistics.
    StoreStats,
    /// The followers' statistics, at the leader.
    LeaderStats,
    /// The members, in the form of 2.x.
    MemberList,
    /// The leader, in the form of 2.x.
    MemberLeader,
    /// The member with this id, in the form of 2.x.
    Member(&'a str),
    /// A page of the peer port.
    Peer(PeerPage<'a>),
}

/// Clean the path of a request: decode it and resolve `//`, `.` and `..`, which cannot leave the root. A slash at the
/// end stays.
///
/// # Errors
///
/// [`Rejection::Form`]: an invalid percent escape, or the decoded path is not UTF-8.
pub fn clean(raw: &str) -> Result<Cow<'_, str>, Rejection> {
    let path = if raw.contains('%') {
        let decoded = String::from_utf8(percent_decode(raw.as_bytes())?);
        Cow::Owned(decoded.map_err(|_| Rejection::Form("the path is not UTF-8".to_owned()))?)
    } else {
        Cow::Borrowed(raw)
    };
    if is_clean(&path) {
        return Ok(path);
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let slash = if path.ends_with('/') && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    Ok(Cow::Owned(format!("/{}{slash}", parts.join("/"))))
}

/// The page of the client port at a clean path.
pub(super) fn client(path: &str) -> Option<Page<'_>> {
    if let Some(key) = path.strip_prefix("/v2/keys") {
        return (key.is_empty() || key.starts_with('/')).then_some(Page::Keys(key));
    }
    match path {
        "/version" => Some(Page::Version),
        "/health" => Some(Page::Health),
        "/v2/leader" | "/v1/leader" => Some(Page::Leader),
        "/v2/machines" | "/v2/peers" | "/v1/machines" | "/v1/peers" => Some(Page::Machines),
        "/v2/stats/self" | "/v1/stats/self" => Some(Page::SelfStats),
        "/v2/stats/store" | "/v1/stats/store" => Some(Page::StoreStats),
        "/v2/stats/leader" | "/v1/stats/leader" => Some(Page::LeaderStats),
        "/v2/members" | "/v2/members/" => Some(Page::MemberList),
        "/v2/members/leader" => Some(Page::MemberLeader),
        _ => part(path, "/v2/members/", "").map(Page::Member),
    }
}

/// The page of the peer port at a clean path.
pub(super) fn peer(path: &str) -> Option<Page<'_>> {
    PeerPage::parse(path).map(Page::Peer)
}

/// The one part of the path between `before` and `after`.
fn part<'a>(path: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let part = path.strip_prefix(before)?.strip_suffix(after)?;
    (!part.is_empty() && !part.contains('/')).then_some(part)
}

impl Page<'_> {
    /// The methods to allow instead, if this page does not serve `method`. OPTIONS is answered before the page is known.
    pub(super) fn refuses(self, method: &Method) -> Option<&'static str> {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let (serves, allow) = match self {
            Self::Keys(_) => (
                reads || matches!(*method, Method::PUT | Method::POST | Method::DELETE),
                "GET, HEAD, PUT, POST, DELETE, OPTIONS",
            ),
            Self::Version
            | Self::Health
            | Self::Leader
            | Self::Machines
            | Self::SelfStats
            | Self::StoreStats
            | Self::LeaderStats
            | Self::MemberList
            | Self::MemberLeader
            | Self::Peer(PeerPage::Members | PeerPage::Hash) => (reads, "GET, HEAD, OPTIONS"),
            Self::Peer(PeerPage::Settings) => {
                (reads || *method == Method::PUT, "GET, HEAD, PUT, OPTIONS")
            }
            Self::Peer(PeerPage::Member(_)) => (
                reads || *method == Method::DELETE,
                "GET, HEAD, DELETE, OPTIONS",
            ),
            Self::Member(_) | Self::Peer(PeerPage::Remove(_)) => {
                (*method == Method::DELETE, "DELETE, OPTIONS")
            }
            // In 0.4 the first four allow any method; the pages for members check it themselves.
            Self::Peer(
                PeerPage::Name
                | PeerPage::Version
                | PeerPage::VersionCheck(_)
                | PeerPage::ClientUrl
                | PeerPage::ForMembers(_),
            ) => (true, ""),
        };
        (!serves).then_some(allow)
    }
}

fn is_clean(path: &str) -> bool {
    let Some(parts) = path.strip_prefix('/') else {
        return false;
    };
    // Only the last part may be empty: the slash at the end.
    let last = parts.rfind('/').map_or(0, |at| at + 1);
    let name = |part: &str| !matches!(part, "." | "..");
    parts
        .split('/')
        .scan(0, |start, part| {
            let at = *start;
            *start += part.len() + 1;
            Some((at, part))
        })
        .all(|(at, part)| name(part) && (at == last || !part.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_cleaned() {
        for (raw, cleaned) in [
            ("/v2/keys/a", "/v2/keys/a"),
            ("/v2/keys/a/", "/v2/keys/a/"),
            ("//v2//keys//a//", "/v2/keys/a/"),
            ("/v2/keys/a/./b/../c", "/v2/keys/a/c"),
            ("/v2/keys/a/..", "/v2/keys"),
            ("/v2/keys/../../x", "/x"),
            ("/../../x", "/x"),
            ("/v2/keys/a%2F%2Fb%2f%2e%2E/c", "/v2/keys/a/c"),
            ("/v2/keys/c+d%2Be%20f", "/v2/keys/c+d+e f"),
            ("/v2/keys/a%252Fb", "/v2/keys/a%2Fb"),
            ("/", "/"),
            ("//", "/"),
            ("/..", "/"),
            ("", "/"),
            ("*", "/*"),
            ("/v2/keys/..a/a..b", "/v2/keys/..a/a..b"),
        ] {
            assert_eq!(clean(raw).expect(raw), cleaned, "{raw}");
        }
        for raw in ["/a%", "/%zz", "/%4", "/%ff"] {
            assert!(matches!(clean(raw), Err(Rejection::Form(_))), "{raw}");
        }
    }

    #[test]
    fn pages_are_spelled_one_way() {
        assert_eq!(client("/v2/keys"), Some(Page::Keys("")));
        assert_eq!(client("/v2/keys/"), Some(Page::Keys("/")));
        assert_eq!(client("/v2/keys/a/b"), Some(Page::Keys("/a/b")));
        assert_eq!(client("/v1/stats/leader"), Some(Page::LeaderStats));
        for path in [
            "/",
            "/v2",
            "/v2/",
            "/v3/keys/a",
            "/v2/keysa",
            "/Version",
            "/version/",
            "/v2/leader/",
            "/v1/keys/a",
        ] {
            assert_eq!(client(path), None, "{path}");
        }
        assert_eq!(client("/v2/members/"), Some(Page::MemberList));
        assert_eq!(client("/v2/members/1f"), Some(Page::Member("1f")));
    }

    #[test]
    fn methods_are_known() {
        assert_eq!(
            Page::Keys("/a").refuses(&Method::PATCH),
            Some("GET, HEAD, PUT, POST, DELETE, OPTIONS")
        );
        assert_eq!(
            Page::Leader.refuses(&Method::PUT),
            Some("GET, HEAD, OPTIONS")
        );
        assert_eq!(Page::Leader.refuses(&Method::HEAD), None);
        assert_eq!(Page::Peer(PeerPage::Name).refuses(&Method::POST), None);
    }

    proptest! {
        #[test]
        fn clean_paths_stay_clean(raw in "[/.a%2eF]{0,20}") {
            if let Ok(path) = clean(&raw) {
                prop_assert!(is_clean(&path), "{}", path);
                prop_assert!(path.starts_with('/'));
                prop_assert!(!path.contains("//"));
            }
        }

        #[test]
        fn no_path_panics(raw: String) {
            if let Ok(path) = clean(&raw) {
                let _ = (client(&path), peer(&path));
            }
        }
    }
}
