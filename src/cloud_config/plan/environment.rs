//! `/etc/environment` with the addresses of the host.

use crate::cloud_config::addresses::{Addresses, Kind};

/// The text of the file with the known addresses set: existing lines are replaced, others appended.
pub fn merge_environment(text: &str, addresses: &Addresses) -> String {
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    for kind in Kind::ALL {
        let Some(address) = addresses.get(kind) else {
            continue;
        };
        let prefix = format!("{}=", kind.variable());
        let line = format!("{prefix}{address}");
        match lines.iter_mut().find(|one| one.starts_with(&prefix)) {
            Some(existing) => *existing = line,
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
    fn existing_lines_are_replaced_in_place() {
        let mut addresses = Addresses::default();
        addresses
            .set(Kind::PrivateIpv4, "10.0.0.1")
            .expect("an address");
        addresses
            .set(Kind::PublicIpv4, "203.0.113.1")
            .expect("an address");
        assert_eq!(
            merge_environment("# c\nCOREOS_PRIVATE_IPV4=x\nLAST=1", &addresses),
            "# c\nCOREOS_PRIVATE_IPV4=10.0.0.1\nLAST=1\nCOREOS_PUBLIC_IPV4=203.0.113.1\n"
        );
        assert_eq!(merge_environment("", &Addresses::default()), "");
    }
}
