//! The URL of a discovery token.

use std::fmt;

use super::value::{InvalidValue, invalid};
use crate::cluster::Address;

const EXPECTED: &str = "a URL such as https://HOST/TOKEN or \
     http://HOST:4001/v2/keys/_etcd/registry/TOKEN";

/// The URL of a discovery token: hosts with the same token form one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryUrl {
    /// The address of the service.
    pub service: Address,
    /// The path of the token's directory, percent-encoded as given: starts with a slash and does not end with
    /// one.
    pub path: String,
}

impl DiscoveryUrl {
    /// The token: the last component of the path.
    pub fn token(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for DiscoveryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.service.url(), self.path)
    }
}

/// Parse `-discovery`; an empty text counts as not set.
pub(super) fn parse_url(text: &str) -> Result<Option<DiscoveryUrl>, InvalidValue> {
    if text.is_empty() {
        return Ok(None);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return invalid("is not a valid URL", EXPECTED);
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = if scheme.eq_ignore_ascii_case("https") {
        443
    } else {
        80
    };
    let service = Address::parse_with_port(&format!("{scheme}://{authority}"), port)
        .or_else(|error| invalid(error.what, EXPECTED))?;
    if service.port == 0 {
        return invalid("has port 0", EXPECTED);
    }
    let path = path.trim_matches('/');
    if path.is_empty() {
        return invalid("does not contain a token", EXPECTED);
    }
    if path.contains(['?', '#']) {
        return invalid("has a query or a fragment", EXPECTED);
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return invalid(
            "contains a character that is not allowed in a URL",
            EXPECTED,
        );
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
    fn urls_are_parsed() {
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
            let url = parse_url(text).expect(text).expect("given");
            assert_eq!((url.to_string().as_str(), url.token()), (shown, token));
        }
        assert_eq!(parse_url(""), Ok(None));
    }

    #[test]
    fn invalid_urls_are_rejected() {
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
            let error = parse_url(text).expect_err(text);
            assert_eq!(error.expected, EXPECTED, "{text}");
        }
    }
}
