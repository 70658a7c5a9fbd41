//! `$private_ipv4` and the other three, replaced all over a document.
//!
//! A backslash keeps the word: `\$private_ipv4` stands for `$private_ipv4`. A word goes as far as it is
//! known, so `x$private_ipv4y` has one in it; `${private_ipv4}` and `$PRIVATE_IPV4` are no such words.

use super::addresses::{Addresses, Kind};

/// What stands in for an address that is not known, with its name behind. It is no letter, so no document
/// has it by chance, and where it ends up in something that counts, that is an error.
const UNKNOWN: char = '\u{e000}';

/// The document with its addresses.
pub fn substitute(text: &str, addresses: &Addresses) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, dollar) = rest.split_at(at);
        let word = &dollar[1..];
        let Some(kind) = Kind::ALL
            .into_iter()
            .find(|kind| word.starts_with(kind.name()))
        else {
            replaced.push_str(before);
            replaced.push('$');
            rest = word;
            continue;
        };
        rest = &word[kind.name().len()..];
        if let Some(before) = before.strip_suffix('\\') {
            replaced.push_str(before);
            replaced.push('$');
            replaced.push_str(kind.name());
            continue;
        }
        replaced.push_str(before);
        match addresses.get(kind) {
            Some(address) => replaced.push_str(&address.to_string()),
            None => {
                replaced.push(UNKNOWN);
                replaced.push_str(kind.name());
            }
        }
    }
    replaced.push_str(rest);
    replaced
}

/// The address that a part of a document asked for and that is not known.
pub fn unknown(text: &str) -> Option<Kind> {
    text.split(UNKNOWN).skip(1).find_map(|behind| {
        let asked = |kind: &Kind| behind.starts_with(kind.name());
        Kind::ALL.into_iter().find(asked)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let mut addresses = Addresses::default();
        addresses
            .set(Kind::PrivateIpv4, "10.0.0.1")
            .expect("an address");
        addresses
            .set(Kind::PublicIpv6, "2001:db8::1")
            .expect("an address");
        addresses
    }

    #[test]
    fn words_are_replaced_wherever_they_are() {
        for (text, expected) in [
            ("$private_ipv4", "10.0.0.1"),
            ("$private_ipv4$private_ipv4", "10.0.0.110.0.0.1"),
            ("x$private_ipv4y:$public_ipv6", "x10.0.0.1y:2001:db8::1"),
            (
                "${private_ipv4} $PRIVATE_IPV4 $private $",
                "${private_ipv4} $PRIVATE_IPV4 $private $",
            ),
            ("\\$private_ipv4", "$private_ipv4"),
            ("\\\\$private_ipv4", "\\$private_ipv4"),
            ("\\$$private_ipv4", "\\$10.0.0.1"),
            ("", ""),
        ] {
            assert_eq!(substitute(text, &addresses()), expected, "{text}");
        }
    }

    #[test]
    fn an_unknown_address_is_found_again() {
        let text = substitute("a: $public_ipv4:4001", &addresses());
        assert_eq!(unknown(&text), Some(Kind::PublicIpv4));
        assert_eq!(unknown("a: $public_ipv4"), None);
        assert_eq!(unknown(&format!("{UNKNOWN}{text}")), Some(Kind::PublicIpv4));
    }
}
