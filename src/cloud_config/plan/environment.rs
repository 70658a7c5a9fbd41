//! `/etc/environment` with the machine's addresses.

use super::super::addresses::{Addresses, Kind};

/// The text of that file with the known addresses set: a line that is there is replaced, others follow.
pub fn merged(text: &str, addresses: &Addresses) -> String {
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    for kind in Kind::ALL {
        let Some(address) = addresses.get(kind) else {
            continue;
        };
        let begins = format!("{}=", kind.variable());
        let line = format!("{begins}{address}");
        match lines.iter_mut().find(|one| one.starts_with(&begins)) {
            Some(there) => *there = line,
            None => lines.push(line),
        }
    }
    let mut merged = lines.join("\n");
    if !merged.is_empty() {
        merged.push('\n');
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_replaced_where_they_are() {
        let mut addresses = Addresses::default();
        addresses
            .set(Kind::PrivateIpv4, "10.0.0.1")
            .expect("an address");
        addresses
            .set(Kind::PublicIpv4, "203.0.113.1")
            .expect("an address");
        assert_eq!(
            merged("# c\nCOREOS_PRIVATE_IPV4=x\nLAST=1", &addresses),
            "# c\nCOREOS_PRIVATE_IPV4=10.0.0.1\nLAST=1\nCOREOS_PUBLIC_IPV4=203.0.113.1\n"
        );
        assert_eq!(merged("", &Addresses::default()), "");
    }
}
