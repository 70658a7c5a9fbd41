//! Which page a path names, and which methods it serves.

use std::borrow::Cow;

use hyper::Method;

use super::params::{Rejection, percent_decode};

/// A page, on either port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page<'a> {
    /// A key, with all it takes to name it: `/v2/keys/...`.
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
    /// The members, as 2.x has them.
    MemberList,
    /// The member that leads, as 2.x has it.
    MemberLeader,
    /// A member by its id, as 2.x has it.
    Member(&'a str),
    /// On the peer port: this member's name.
    Name,
    /// On the peer port: the version of what members said to each other in 0.4.
    PeerVersion,
    /// On the peer port: whether that is this one.
    VersionCheck(&'a str),
    /// On the peer port: where clients reach this member.
    ClientUrl,
    /// On the peer port: the cluster's settings.
    Settings,
    /// On the peer port: the members.
    AdminMachines,
    /// On the peer port: a member by its name.
    AdminMachine(&'a str),
    /// On the peer port: the name of a member to take out.
    Remove(&'a str),
    /// On the peer port: the store's hash.
    Hash,
    /// On the peer port: what only members ask for.
    Members,
}

/// The path of a request as it is looked up: decoded, and cleaned of `//`, `.` and `..`; a slash at its end
/// stays. What `..` climbs out of is left behind, up to the root.
///
/// # Errors
///
/// A bad escape.
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
    match path {
        "/name" => Some(Page::Name),
        "/version" => Some(Page::PeerVersion),
        "/etcdURL" => Some(Page::ClientUrl),
        "/v2/admin/config" => Some(Page::Settings),
        "/v2/admin/machines" => Some(Page::AdminMachines),
        "/hash" => Some(Page::Hash),
        _ if path.starts_with("/oxetcd/") => Some(Page::Members),
        _ => part(path, "/v2/admin/machines/", "")
            .map(Page::AdminMachine)
            .or_else(|| part(path, "/remove/", "").map(Page::Remove))
            .or_else(|| part(path, "/version/", "/check").map(Page::VersionCheck)),
    }
}

/// The one part of the path between `before` and `after`.
fn part<'a>(path: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let part = path.strip_prefix(before)?.strip_suffix(after)?;
    (!part.is_empty() && !part.contains('/')).then_some(part)
}

impl Page<'_> {
    /// What to allow instead, if this page does not serve `method`. OPTIONS is served before there is a page.
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
            | Self::AdminMachines
            | Self::Hash => (reads, "GET, HEAD, OPTIONS"),
            Self::Settings => (reads || *method == Method::PUT, "GET, HEAD, PUT, OPTIONS"),
            Self::AdminMachine(_) => (
                reads || *method == Method::DELETE,
                "GET, HEAD, DELETE, OPTIONS",
            ),
            Self::Member(_) | Self::Remove(_) => (*method == Method::DELETE, "DELETE, OPTIONS"),
            // These never looked at the method, and what members ask for does so itself.
            Self::Name
            | Self::PeerVersion
            | Self::VersionCheck(_)
            | Self::ClientUrl
            | Self::Members => (true, ""),
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
        assert_eq!(peer("/version/2/check"), Some(Page::VersionCheck("2")));
        assert_eq!(peer("/remove/a b"), Some(Page::Remove("a b")));
        for path in [
            "/",
            "/v2/admin",
            "/v2/admin/",
            "/v2/admin/machines/",
            "/v2/admin/machines/a/b",
            "/v2/admin/none",
            "/remove/",
            "/version/check",
            "/version//check",
            "/version/2",
            "/v2/keys/",
            "/v2/leader",
            "/v2/members",
            "/oxetcd",
        ] {
            assert_eq!(peer(path), None, "{path}");
        }
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
        assert_eq!(Page::Name.refuses(&Method::POST), None);
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
