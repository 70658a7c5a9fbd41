//! Addresses of members: names, IPv4, or IPv6 in brackets, with a port.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;

const EXPECTED: &str = "host:port, such as 10.0.0.1:4001, [fd00::1]:4001 or node1.example:4001";

/// The peer port of an address without one.
const PEER_PORT: u16 = 7001;

/// A host and a port, not yet resolved, and whether the server there uses TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A name or an IP address; an IPv6 address is without brackets here.
    pub host: String,
    /// The port; 0 for one that the system chooses.
    pub port: u16,
    /// Whether its URL is `https`.
    pub tls: bool,
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAddress {
    /// What is wrong; follows the text in a sentence.
    pub what: String,
    /// An example of a valid address.
    pub expected: &'static str,
}

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; expected {}", self.what, self.expected)
    }
}

impl std::error::Error for InvalidAddress {}

fn invalid<T>(what: impl Into<String>, expected: &'static str) -> Result<T, InvalidAddress> {
    Err(InvalidAddress {
        what: what.into(),
        expected,
    })
}

impl Address {
    /// This address with another port.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        Self {
            port,
            ..self.clone()
        }
    }

    /// This address, with TLS or without.
    #[must_use]
    pub fn with_tls(self, tls: bool) -> Self {
        Self { tls, ..self }
    }

    /// Whether it is the same host and port, with TLS or without. The case of a host name makes no difference.
    pub fn is_same_endpoint(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(&other.host) && self.port == other.port
    }

    /// Whether it is an address of the loopback interface.
    pub fn is_loopback(&self) -> bool {
        let name = self.host.to_ascii_lowercase();
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => address.is_loopback(),
            Ok(IpAddr::V6(address)) => address.is_loopback(),
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        }
    }

    /// `http://` or `https://`, and the address.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{self}")
    }

    /// Parse `host:port`, `http://host:port/` or `https://host:port/`; the last is an address with TLS.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`]: another scheme, no valid host name, IPv4 address or bracketed IPv6 address, or no port.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let (rest, tls) = strip_scheme(text)?;
        let (host, port) = split_port(rest)?;
        match port {
            Some(port) => Ok(Self { host, port, tls }),
            None => invalid("has no port", EXPECTED),
        }
    }

    /// Parse the same with an optional port, `port` by default.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`]: another scheme, no valid host name, IPv4 address or bracketed IPv6 address, or no valid
    /// port.
    pub fn parse_with_port(text: &str, port: u16) -> Result<Self, InvalidAddress> {
        let (rest, tls) = strip_scheme(text)?;
        let (host, given) = split_port(rest)?;
        Ok(Self {
            host,
            port: given.unwrap_or(port),
            tls,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The text after the scheme, and whether the scheme is `https`.
fn strip_scheme(text: &str) -> Result<(&str, bool), InvalidAddress> {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok((text, false));
    };
    let tls = scheme.eq_ignore_ascii_case("https");
    if !tls && !scheme.eq_ignore_ascii_case("http") {
        return invalid(format!("has the scheme {scheme:?}"), EXPECTED);
    }
    Ok((rest.strip_suffix('/').unwrap_or(rest), tls))
}

fn split_port(text: &str) -> Result<(String, Option<u16>), InvalidAddress> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((inside, after)) = rest.split_once(']') else {
            return invalid("has [ without ]", EXPECTED);
        };
        let Ok(address) = inside.parse::<Ipv6Addr>() else {
            return invalid("has no IPv6 address in its brackets", EXPECTED);
        };
        let port = match after.strip_prefix(':') {
            Some(digits) => Some(parse_port(digits)?),
            None if after.is_empty() => None,
            None => return invalid("has text after its ]", EXPECTED),
        };
        return Ok((address.to_string(), port));
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => {
            invalid("has an IPv6 address without brackets", EXPECTED)
        }
        Some((name, digits)) => Ok((parse_host(name)?, Some(parse_port(digits)?))),
        None => Ok((parse_host(text)?, None)),
    }
}

fn parse_port(digits: &str) -> Result<u16, InvalidAddress> {
    let number = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(port) if number => Ok(port),
        _ => invalid("has no port from 0 to 65535", EXPECTED),
    }
}

/// A host name as the DNS allows it, underscores included, or an IPv4 address.
fn parse_host(text: &str) -> Result<String, InvalidAddress> {
    const NAME_MAX: usize = 253;
    const LABEL_MAX: usize = 63;
    if text.is_empty() {
        return invalid("has no host", EXPECTED);
    }
    if text.parse::<Ipv4Addr>().is_ok() {
        return Ok(String::from(text));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let labels = name
        .split('.')
        .all(|label| !label.is_empty() && label.len() <= LABEL_MAX && is_label(label));
    if !labels || name.len() > NAME_MAX {
        return invalid("has no valid host name", EXPECTED);
    }
    // No host name ends in a number: this is a mistyped IPv4 address, which some resolvers would complete.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return invalid("has no valid IPv4 address", EXPECTED);
    }
    Ok(String::from(text))
}

/// Parse the address of a peer: `HOST` or `HOST:PORT`, optionally as a URL with `http://` or `https://` and with a
/// slash at the end. The default port is 7001.
///
/// # Errors
///
/// [`InvalidAddress`]: as for [`Address::parse_with_port`], or port 0.
pub fn peer_address(text: &str) -> Result<Address, InvalidAddress> {
    let address = Address::parse_with_port(text, PEER_PORT)?;
    if address.port == 0 {
        return Err(InvalidAddress {
            what: "has port 0".to_owned(),
            expected: "a port from 1 to 65535",
        });
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed() {
        for (text, shown) in [
            ("10.0.0.1:7002", "10.0.0.1:7002"),
            ("10.0.0.1", "10.0.0.1:7001"),
            ("http://node-1.example:80", "node-1.example:80"),
            ("http://node_1/", "node_1:7001"),
            ("[::1]:9", "[::1]:9"),
            ("http://[fe80::1]/", "[fe80::1]:7001"),
        ] {
            let address = peer_address(text).expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(peer_address(&address.to_string()), Ok(address));
        }
        assert!(peer_address("https://a").is_ok_and(|address| address.tls));
    }

    #[test]
    fn invalid_addresses_are_refused() {
        for text in [
            "",
            ":7001",
            "a:",
            "a:0",
            "a:+1",
            "a:65536",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]7001",
            "[a]:1",
            "a b:1",
            "a\r\nb",
            "ftp://a",
            "http://a/b",
            "http://user@a",
            "http://",
        ] {
            assert!(peer_address(text).is_err(), "{text:?}");
        }
    }
}
