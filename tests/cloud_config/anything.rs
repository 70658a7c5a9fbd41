//! What holds for every document, whatever is in it.

use oxetcd::cloud_config::addresses::{Addresses, Kind};
use oxetcd::cloud_config::plan::{Plan, Step};
use oxetcd::cloud_config::report::Report;
use oxetcd::cloud_config::{Outcome, Surroundings, prepare};
use proptest::prelude::*;

use crate::systemd;

fn prepared(text: &[u8]) -> (Option<Plan>, Report) {
    let mut addresses = Addresses::default();
    addresses
        .set(Kind::PrivateIpv4, "10.0.0.1")
        .expect("an address");
    let around = Surroundings {
        addresses,
        ssh_user: String::from("core"),
        ..Surroundings::default()
    };
    let mut report = Report::default();
    let outcome = prepare(text, &around, &mut report);
    let plan = match outcome {
        Some(Outcome::Plan(plan)) => Some(plan),
        Some(Outcome::Nothing) => Some(Plan::default()),
        None => None,
    };
    (plan, report)
}

fn drop_in(plan: &Plan) -> Option<String> {
    plan.steps.iter().find_map(|step| {
        let Step::Write(file) = step else {
            return None;
        };
        let wanted = file.path.ends_with("/etcd.service.d/20-cloudinit.conf");
        wanted.then(|| String::from_utf8(file.content.clone()).expect("text"))
    })
}

/// A word that is kept from being an address is no escape of YAML's, which knows no `\\$`.
#[test]
fn an_address_may_be_kept_in_quotes() {
    let text = "#cloud-config\ncoreos: {etcd: {name: \"\\$private_ipv4\"}}\n";
    let (plan, report) = prepared(text.as_bytes());
    assert_eq!(report, Report::default());
    let read = systemd::environment(&drop_in(&plan.expect("a plan")).expect("a drop-in"));
    assert_eq!(read["ETCD_NAME"], "$private_ipv4");
}

/// Texts with what systemd and YAML give a meaning to, and anything else.
fn value() -> impl Strategy<Value = String> {
    let odd = prop_oneof![
        Just('%'),
        Just('\\'),
        Just('"'),
        Just('\''),
        Just('\n'),
        Just('\t'),
        Just('\r'),
        Just(' '),
        Just('='),
        Just('$'),
        Just('#'),
        Just(';'),
        Just('\u{7f}'),
        Just('\u{85}'),
        Just('\u{2028}'),
        Just('\u{1}'),
        Just('x'),
        Just('n'),
        Just('0'),
        any::<char>(),
    ];
    proptest::collection::vec(odd, 0..40).prop_map(|letters| letters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// From the value in the document to what systemd reads, and no other variable beside it.
    #[test]
    fn systemd_reads_what_the_author_wrote(value in value()) {
        prop_assume!(systemd::can_hold("ETCD_CORS", &value));
        prop_assume!(!value.contains("_ipv"));
        // JSON is YAML, but for what YAML does not let stand for itself.
        let mut quoted = String::new();
        for letter in value.chars() {
            let code = u32::from(letter);
            quoted.push_str(&format!("\\U{code:08x}"));
        }
        let text = format!("#cloud-config\ncoreos:\n  etcd:\n    name: n\n    cors: \"{quoted}\"\n");
        let (plan, report) = prepared(text.as_bytes());
        let plan = plan.unwrap_or_else(|| panic!("{}", report.text("x")));
        let read = systemd::environment(&drop_in(&plan).expect("a drop-in"));
        prop_assert_eq!(read.get("ETCD_CORS"), Some(&value));
        prop_assert_eq!(read.len(), 2);
    }

    /// No text of whatever kind makes it panic, and a refused one leaves no plan.
    #[test]
    fn no_document_brings_it_down(body in "(?s)[\\PC\n\t :\\-\\[\\]{}&*!|>'\"%@`#,?]{0,200}") {
        let (plan, report) = prepared(format!("#cloud-config\n{body}").as_bytes());
        prop_assert_eq!(plan.is_none(), report.has_errors());
    }
}
