//! Substitution of the address variables `$private_ipv4`, `$public_ipv4`, `$private_ipv6` and `$public_ipv6`
//! in the text of a document.
//!
//! A backslash escapes a variable: `\$private_ipv4` stands for `$private_ipv4`. A variable ends with its name,
//! so `x$private_ipv4y` contains one; `${private_ipv4}` and `$PRIVATE_IPV4` are not variables.

use super::addresses::{Addresses, Kind};

/// Replaces the dollar of a variable whose address is not known. It is a private-use character, so documents
/// do not contain it by chance; in a section that is used it is an error.
const UNKNOWN: char = '\u{e000}';

/// The document with the addresses in place of the variables.
pub fn substitute(text: &str, addresses: &Addresses) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, dollar) = rest.split_at(at);
        let after = &dollar[1..];
        let Some(kind) = Kind::ALL
            .into_iter()
            .find(|kind| after.starts_with(kind.name()))
        else {
            replaced.push_str(before);
            replaced.push('$');
            rest = after;
            continue;
        };
        rest = &after[kind.name().len()..];
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

/// The first variable in a substituted text whose address is not known.
pub fn find_unknown(text: &str) -> Option<Kind> {
    text.split(UNKNOWN).skip(1).find_map(|after| {
        let is_named = |kind: &Kind| after.starts_with(kind.name());
        Kind::ALL.into_iter().find(is_named)
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
    fn variables_are_replaced_anywhere_in_the_text() {
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
    fn an_unknown_address_is_found() {
        let text = substitute("a: $public_ipv4:4001", &addresses());
        assert_eq!(find_unknown(&text), Some(Kind::PublicIpv4));
        assert_eq!(find_unknown("a: $public_ipv4"), None);
        assert_eq!(
            find_unknown(&format!("{UNKNOWN}{text}")),
            Some(Kind::PublicIpv4)
        );
    }
}
