//! `hostname` and `manage_etc_hosts`

use super::text::is_line;
use crate::cloud_config::document::Located;
use crate::cloud_config::merge::{Merged, to_host_name};
use crate::cloud_config::report::{Report, quoted};

/// The host name to set.
pub(super) fn hostname(name: &Located<String>, report: &mut Report) -> Option<String> {
    const EXPECTED: &str = "expected at most 253 letters, digits, - and .";
    let text = name.value.trim();
    let value = to_host_name(text);
    let is_valid =
        is_line(text) && !value.is_empty() && value.len() <= 253 && !value.starts_with(['-', '.']);
    if !is_valid {
        let message = format!("hostname is {}, {EXPECTED}", quoted(text));
        return report.reject(name.position, message);
    }
    if value != text {
        let message = format!("hostname is {}, {EXPECTED}; {value} is used", quoted(text));
        report.warning(name.position, message);
    }
    Some(value)
}

/// The host name for `/etc/hosts`.
pub(super) fn hosts(merged: &Merged, report: &mut Report) -> Option<String> {
    let manage = merged.document.manage_etc_hosts.as_ref()?;
    match (manage.value.as_str(), &merged.hostname) {
        ("", _) => None,
        ("localhost", Some(name)) => Some(name.clone()),
        ("localhost", None) => {
            let message = "manage_etc_hosts needs a host name, and none is known; set hostname";
            report.reject(manage.position, message)
        }
        (other, _) => {
            let message = format!("manage_etc_hosts is {}, expected localhost", quoted(other));
            report.reject(manage.position, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_config::report::Position;

    #[test]
    fn a_host_name_is_valid_or_simplified() {
        let named = |text: &str| {
            let mut report = Report::default();
            let name = Located {
                value: String::from(text),
                position: Position::line(2),
            };
            (hostname(&name, &mut report), report.to_text("f"))
        };
        for good in ["a", "node-1.example", "a_b"] {
            assert_eq!(named(good), (Some(String::from(good)), String::new()));
        }
        assert_eq!(named("a\n"), (Some(String::from("a")), String::new()));
        let (name, text) = named("Anna's Host");
        assert_eq!(name.as_deref(), Some("Annas-Host"));
        assert!(text.starts_with("f:2: warning: "), "{text}");
        for bad in ["a\nb", "-a", ".", "\u{4e2d}", &"a".repeat(254)] {
            assert_eq!(named(bad).0, None, "{bad:?}");
        }
    }
}
