//! The addresses of the host that a document refers to: `$private_ipv4`, `$public_ipv4`, `$private_ipv6` and
//! `$public_ipv6`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// The kind of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `$private_ipv4`
    PrivateIpv4,
    /// `$public_ipv4`
    PublicIpv4,
    /// `$private_ipv6`
    PrivateIpv6,
    /// `$public_ipv6`
    PublicIpv6,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::PrivateIpv4,
        Self::PublicIpv4,
        Self::PrivateIpv6,
        Self::PublicIpv6,
    ];

    /// The name of its variable in a document, without the dollar.
    pub fn name(self) -> &'static str {
        match self {
            Self::PrivateIpv4 => "private_ipv4",
            Self::PublicIpv4 => "public_ipv4",
            Self::PrivateIpv6 => "private_ipv6",
            Self::PublicIpv6 => "public_ipv6",
        }
    }

    /// The environment variable that sets it.
    pub fn variable(self) -> &'static str {
        match self {
            Self::PrivateIpv4 => "COREOS_PRIVATE_IPV4",
            Self::PublicIpv4 => "COREOS_PUBLIC_IPV4",
            Self::PrivateIpv6 => "COREOS_PRIVATE_IPV6",
            Self::PublicIpv6 => "COREOS_PUBLIC_IPV6",
        }
    }

    fn matches(self, address: IpAddr) -> bool {
        match self {
            Self::PrivateIpv4 | Self::PublicIpv4 => address.is_ipv4(),
            Self::PrivateIpv6 | Self::PublicIpv6 => address.is_ipv6(),
        }
    }
}

/// The known addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    known: [Option<IpAddr>; 4],
}

/// The error for a text that is not an address of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAddress {
    kind: Kind,
    text: String,
}

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.kind {
            Kind::PrivateIpv4 | Kind::PublicIpv4 => "an IPv4",
            Kind::PrivateIpv6 | Kind::PublicIpv6 => "an IPv6",
        };
        write!(
            f,
            "{} is {:?}, expected {family} address",
            self.kind.variable(),
            self.text
        )
    }
}

impl std::error::Error for InvalidAddress {}

impl Addresses {
    /// The address of a kind, if it is known.
    pub fn get(&self, kind: Kind) -> Option<IpAddr> {
        self.known[kind as usize]
    }

    /// Sets the address of a kind from a text; an empty text leaves it as it is.
    ///
    /// # Errors
    ///
    /// The text is not an IP address, or of the other family. It must not be substituted into a document.
    pub fn set(&mut self, kind: Kind, text: &str) -> Result<(), InvalidAddress> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        match text.parse::<IpAddr>() {
            Ok(address) if kind.matches(address) => {
                self.known[kind as usize] = Some(address);
                Ok(())
            }
            Ok(_) | Err(_) => Err(InvalidAddress {
                kind,
                text: String::from(text),
            }),
        }
    }

    /// These addresses, and those of `others` that are unknown here.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        for (own, other) in self.known.iter_mut().zip(others.known) {
            *own = own.or(other);
        }
        self
    }

    /// The addresses set by environment variables, and an error for each variable that is not an address.
    pub fn from_variables<'v>(
        lookup: impl Fn(&'static str) -> Option<std::borrow::Cow<'v, str>>,
    ) -> (Self, Vec<InvalidAddress>) {
        let mut addresses = Self::default();
        let bad = Kind::ALL.into_iter().filter_map(|kind| {
            let text = lookup(kind.variable())?;
            addresses.set(kind, &text).err()
        });
        let bad = bad.collect();
        (addresses, bad)
    }

    /// The first private and the first public address of each family.
    pub fn from_list(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut found = Self::default();
        for address in addresses {
            if let Some(kind) = kind(address) {
                let known = &mut found.known[kind as usize];
                *known = known.or(Some(address));
            }
        }
        found
    }
}

/// The kind of an interface's address; `None` for loopback, link-local, unspecified and multicast addresses.
fn kind(address: IpAddr) -> Option<Kind> {
    match address {
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() => None,
        IpAddr::V4(v4) if v4.is_private() || is_shared(v4) => Some(Kind::PrivateIpv4),
        IpAddr::V4(_) => Some(Kind::PublicIpv4),
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unicast_link_local() => None,
        IpAddr::V6(v6) if v6.is_unspecified() || v6.is_multicast() => None,
        IpAddr::V6(v6) if v6.is_unique_local() => Some(Kind::PrivateIpv6),
        IpAddr::V6(_) => Some(Kind::PublicIpv6),
    }
}

/// Whether an address is in 100.64.0.0/10, the shared address space of carrier-grade NAT (RFC 6598).
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && second & 0xc0 == 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_kind_is_taken() {
        let all = [
            "127.0.0.1",
            "169.254.1.1",
            "10.0.0.5",
            "203.0.113.7",
            "192.168.0.1",
            "fe80::1",
            "fd00::15",
        ];
        let addresses =
            Addresses::from_list(all.map(|one| one.parse::<IpAddr>().expect("an address")));
        let known = Kind::ALL.map(|kind| addresses.get(kind).map(|one| one.to_string()));
        let text = |text: &str| Some(String::from(text));
        assert_eq!(
            known,
            [
                text("10.0.0.5"),
                text("203.0.113.7"),
                text("fd00::15"),
                None
            ]
        );
    }

    #[test]
    fn an_invalid_variable_does_not_affect_the_others() {
        let (addresses, bad) = Addresses::from_variables(|name| match name {
            "COREOS_PRIVATE_IPV4" => Some("eth0".into()),
            "COREOS_PUBLIC_IPV4" => Some("203.0.113.7".into()),
            "COREOS_PRIVATE_IPV6" => Some("10.0.0.1".into()),
            "COREOS_PUBLIC_IPV6" => Some("2001:db8::1".into()),
            _ => None,
        });
        let known = Kind::ALL.map(|kind| addresses.get(kind).map(|one| one.to_string()));
        let text = |text: &str| Some(String::from(text));
        assert_eq!(
            known,
            [None, text("203.0.113.7"), None, text("2001:db8::1")]
        );
        let bad: Vec<String> = bad.iter().map(ToString::to_string).collect();
        assert_eq!(
            bad,
            [
                "COREOS_PRIVATE_IPV4 is \"eth0\", expected an IPv4 address",
                "COREOS_PRIVATE_IPV6 is \"10.0.0.1\", expected an IPv6 address"
            ]
        );
    }

    #[test]
    fn only_addresses_are_accepted() {
        let mut addresses = Addresses::default();
        assert_eq!(addresses.set(Kind::PrivateIpv4, " "), Ok(()));
        assert_eq!(addresses, Addresses::default());
        for bad in ["10.0.0", "fd00::1", "10.0.0.1\nx: y", "node1"] {
            assert!(addresses.set(Kind::PrivateIpv4, bad).is_err(), "{bad}");
        }
        assert_eq!(addresses.set(Kind::PublicIpv6, "2001:db8::1"), Ok(()));
        assert_eq!(addresses.get(Kind::PublicIpv6), "2001:db8::1".parse().ok());
    }
}
