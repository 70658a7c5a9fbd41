//! The addresses in the metadata of cloud providers.

use serde_json::Value;

use crate::cloud_config::addresses::{Addresses, Kind};

/// The keys of each kind of address, as the providers spell them.
const KEYS: [(Kind, [&str; 3]); 4] = [
    (
        Kind::PrivateIpv4,
        ["local-ipv4", "local_ipv4", "private_ipv4"],
    ),
    (
        Kind::PublicIpv4,
        ["public-ipv4", "public_ipv4", "public-ip"],
    ),
    (
        Kind::PrivateIpv6,
        ["local-ipv6", "local_ipv6", "private_ipv6"],
    ),
    (Kind::PublicIpv6, ["public-ipv6", "public_ipv6", "ipv6"]),
];

/// The addresses in several objects, of which an earlier one overrides a later one.
pub(super) fn find_addresses(objects: &[Option<&Value>]) -> Addresses {
    let mut addresses = Addresses::default();
    for (kind, names) in KEYS {
        let texts = objects
            .iter()
            .flatten()
            .flat_map(|object| names.iter().filter_map(|name| object.get(name)?.as_str()));
        for text in texts {
            // A value that is not an address is skipped.
            if addresses.get(kind).is_none() {
                let _ = addresses.set(kind, text);
            }
        }
    }
    addresses
}
