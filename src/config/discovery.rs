//! The URL of a discovery token.

use std::fmt;

use super::value::{Problem, problem};
use crate::cluster::Address;

const EXPECTED: &str = "a URL such as https://HOST/TOKEN or \
     http://HOST:4001/v2/keys/_etcd/registry/TOKEN";

/// Where machines with the same token find each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryUrl {
    /// The service.
    pub service: Address,
    /// The token's directory: a path that begins with a slash and does not end with one, escaped as it was
    /// given.
    pub path: String,
}

impl DiscoveryUrl {
    /// The token as people see it: the last part of the path.
    pub fn token(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for DiscoveryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.service.url(), self.path)
    }
}

/// What `-discovery` says; an empty text is as good as none.
pub(super) fn url(text: &str) -> Result<Option<DiscoveryUrl>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return problem("is no URL", EXPECTED);
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = if scheme.eq_ignore_ascii_case("https") {
        443
    } else {
        80
    };
    let service = Address::parse_with_port(&format!("{scheme}://{authority}"), port)
        .or_else(|found| problem(found.what, EXPECTED))?;
    if service.port == 0 {
        return problem("has port 0", EXPECTED);
    }
    let path = path.trim_matches('/');
    if path.is_empty() {
        return problem("names no token", EXPECTED);
    }
    if path.contains(['?', '#']) {
        return problem("has something behind its token", EXPECTED);
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return problem("has a character in it that no URL has", EXPECTED);
    }
    Ok(Some(DiscoveryUrl {
        service,
        path: format!("/{path}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, shown, token) in [
            (
                "https://d.example/ab12",
                "https://d.example:443/ab12",
                "ab12",
            ),
            (
                "https://d.example//ab12/",
                "https://d.example:443/ab12",
                "ab12",
            ),
            ("http://10.0.0.1/t", "http://10.0.0.1:80/t", "t"),
            (
                "http://[fd00::1]:4001/v2/keys/_etcd/registry/t/",
                "http://[fd00::1]:4001/v2/keys/_etcd/registry/t",
                "t",
            ),
        ] {
            let url = url(text).expect(text).expect("given");
            assert_eq!((url.to_string().as_str(), url.token()), (shown, token));
        }
        assert_eq!(url(""), Ok(None));
    }

    #[test]
    fn refused() {
        for text in [
            "ab12",
            "d.example/ab12",
            "ftp://d.example/ab12",
            "http://d.example",
            "http://d.example//",
            "http://d.example:0/t",
            "http://user@d.example/t",
            "http:///t",
            "http://d.example/t?size=3",
            "http://d.example/t#x",
            "http://d.example/a b",
            "http://d.example/\u{fc}",
        ] {
            let problem = url(text).expect_err(text);
            assert_eq!(problem.expected, EXPECTED, "{text}");
        }
    }
}
