//! The address of a port: what is advertised and where it listens.

use std::fmt;
use std::net::Ipv4Addr;

use super::value::InvalidValue;
use crate::cluster::Address;

/// Where a port listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// All interfaces, IPv4 and IPv6.
    Everywhere {
        /// The port; 0 for one chosen by the system.
        port: u16,
    },
    /// One address.
    At(Address),
}

/// The advertised address and the listen address of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortAddress {
    /// The advertised address; port 0 stands for the port of the listener.
    pub advertised: Address,
    /// The listen address.
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
    /// Combine `-addr` and `-bind-addr`; an empty `bind` counts as not set.
    pub(super) fn new(advertised: Address, bind: Option<&str>) -> Result<Self, InvalidValue> {
        let listen = match bind.filter(|text| !text.is_empty()) {
            Some(text) => Listen::At(resolve_localhost(&Address::parse_with_port(
                text,
                advertised.port,
            )?)),
            None if advertised.is_loopback() => Listen::At(resolve_localhost(&advertised)),
            None => Listen::Everywhere {
                port: advertised.port,
            },
        };
        Ok(Self { advertised, listen })
    }
}

/// Replace `localhost` by the IPv4 loopback address: the name may have two addresses, and IPv6 may be disabled.
fn resolve_localhost(address: &Address) -> Address {
    if address.host.eq_ignore_ascii_case("localhost") {
        Address {
            host: Ipv4Addr::LOCALHOST.to_string(),
            ..address.clone()
        }
    } else {
        address.clone()
    }
}
