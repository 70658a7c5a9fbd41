//! Hosts and ports: names, IPv4, or IPv6 in brackets.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::value::{Problem, problem};

const EXPECTED: &str = "host:port, such as 10.0.0.1:4001, [fd00::1]:4001 or node1.example:4001";

/// Where something can be reached: a host and a port, not yet looked up, and whether TLS is spoken there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A name or an IP address; an IPv6 address is without brackets here.
    pub host: String,
    /// The port; 0 for one that the system chooses.
    pub port: u16,
    /// Whether its URL is `https`.
    pub tls: bool,
}

/// What to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// This port of every interface, IPv4 and IPv6.
    Everywhere {
        /// The port; 0 for one that the system chooses.
        port: u16,
    },
    /// One address.
    At(Address),
}

/// An address that others are told, and where it is really served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What others are told. Port 0 stands for whichever port the listener got.
    pub advertised: Address,
    /// What to listen on.
    pub listen: Listen,
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

    /// This address, spoken to with TLS or without.
    #[must_use]
    pub fn with_tls(self, tls: bool) -> Self {
        Self { tls, ..self }
    }

    /// Whether it is the same host and port, whatever is spoken there.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port
    }

    /// Whether only this machine can reach it.
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

    /// `host:port`; people also write it as `http://host:port/`, and with `https` it speaks TLS.
    ///
    /// # Errors
    ///
    /// What keeps it from being one.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (rest, tls) = without_scheme(text)?;
        let (host, port) = split(rest)?;
        match port {
            Some(port) => Ok(Self { host, port, tls }),
            None => problem("has no port", EXPECTED),
        }
    }

    /// `host:port`, or `host` alone, which then gets `port`.
    ///
    /// # Errors
    ///
    /// What keeps it from being one.
    pub fn parse_with_port(text: &str, port: u16) -> Result<Self, Problem> {
        let (rest, tls) = without_scheme(text)?;
        let (host, given) = split(rest)?;
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

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere { port } => write!(f, "*:{port}"),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl Endpoint {
    /// What `-addr` and `-bind-addr` mean together; an empty `bind` is as good as none.
    pub(super) fn new(advertised: Address, bind: Option<&str>) -> Result<Self, Problem> {
        let listen = match bind.filter(|text| !text.is_empty()) {
            Some(text) => Listen::At(plain(&Address::parse_with_port(text, advertised.port)?)),
            None if advertised.is_loopback() => Listen::At(plain(&advertised)),
            None => Listen::Everywhere {
                port: advertised.port,
            },
        };
        Ok(Self { advertised, listen })
    }
}

/// The loopback address for its name, which may stand for two addresses of which one may be missing.
fn plain(address: &Address) -> Address {
    if address.host.eq_ignore_ascii_case("localhost") {
        Address {
            host: Ipv4Addr::LOCALHOST.to_string(),
            ..address.clone()
        }
    } else {
        address.clone()
    }
}

/// What follows the scheme, and whether that is `https`.
fn without_scheme(text: &str) -> Result<(&str, bool), Problem> {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok((text, false));
    };
    let tls = scheme.eq_ignore_ascii_case("https");
    if !tls && !scheme.eq_ignore_ascii_case("http") {
        return problem(format!("has the scheme {scheme:?}"), EXPECTED);
    }
    Ok((rest.strip_suffix('/').unwrap_or(rest), tls))
}

fn split(text: &str) -> Result<(String, Option<u16>), Problem> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((inside, after)) = rest.split_once(']') else {
            return problem("has [ without ]", EXPECTED);
        };
        let Ok(address) = inside.parse::<Ipv6Addr>() else {
            return problem("has no IPv6 address in its brackets", EXPECTED);
        };
        let port = match after.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if after.is_empty() => None,
            None => return problem("has text after its ]", EXPECTED),
        };
        return Ok((address.to_string(), port));
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => {
            problem("has an IPv6 address without brackets", EXPECTED)
        }
        Some((name, digits)) => Ok((host(name)?, Some(port(digits)?))),
        None => Ok((host(text)?, None)),
    }
}

fn port(digits: &str) -> Result<u16, Problem> {
    let number = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(port) if number => Ok(port),
        _ => problem("has no port from 0 to 65535", EXPECTED),
    }
}

/// A name as the DNS allows it, underscores too, or an IPv4 address.
fn host(text: &str) -> Result<String, Problem> {
    const NAME_MAX: usize = 253;
    const LABEL_MAX: usize = 63;
    if text.is_empty() {
        return problem("has no host", EXPECTED);
    }
    if text.parse::<Ipv4Addr>().is_ok() {
        return Ok(String::from(text));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let letters = |label: &str| {
        label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let labels = name
        .split('.')
        .all(|label| !label.is_empty() && label.len() <= LABEL_MAX && letters(label));
    if !labels || name.len() > NAME_MAX {
        return problem("has no valid host name", EXPECTED);
    }
    // No name ends in a number; this is a mistyped IPv4 address, which some resolvers would guess at.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return problem("has no valid IPv4 address", EXPECTED);
    }
    Ok(String::from(text))
}
