//! Hosts and ports: names, IPv4, or IPv6 in brackets.

use std::fmt;
use std::net::Ipv4Addr;

use super::value::Problem;
use crate::cluster::Address;

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
pub struct PortAddress {
    /// What others are told. Port 0 stands for whichever port the listener got.
    pub advertised: Address,
    /// What to listen on.
    pub listen: Listen,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere { port } => write!(f, "*:{port}"),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl PortAddress {
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
