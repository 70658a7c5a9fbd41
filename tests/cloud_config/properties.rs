//! Properties of all documents, tested with random ones.

use oxetcd::cloud_config::addresses::{Addresses, Kind};
use oxetcd::cloud_config::plan::{Plan, Step};
use oxetcd::cloud_config::report::Report;
use oxetcd::cloud_config::{Context, Outcome, prepare};
use proptest::prelude::*;

use crate::systemd;

fn prepared(text: &[u8]) -> (Option<Plan>, Report) {
    let mut addresses = Addresses::default();
    addresses
        .set(Kind::PrivateIpv4, "10.0.0.1")
        .expect("an address");
    let context = Context {
        addresses,
        ssh_user: String::from("core"),
        ..Context::default()
    };
    let mut report = Report::default();
    let outcome = prepare(text, &context, &mut report);
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

/// `\\$` keeps a word from being an address; it is not an escape of YAML.
#[test]
fn an_address_may_be_kept_in_quotes() {
    let text = "#cloud-config\ncoreos: {etcd: {name: \"\\$private_ipv4\"}}\n";
    let (plan, report) = prepared(text.as_bytes());
    assert_eq!(report, Report::default());
    let read = systemd::environment(&drop_in(&plan.expect("a plan")).expect("a drop-in"));
    assert_eq!(read["ETCD_NAME"], "$private_ipv4");
}

/// Texts with characters that are special in systemd or YAML, and others.
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
    proptest::collection::vec(odd, 0..40).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// systemd reads the value of the document, and no other variable.
    #[test]
    fn systemd_reads_what_the_author_wrote(value in value()) {
        prop_assume!(systemd::can_hold("ETCD_CORS", &value));
        prop_assume!(!value.contains("_ipv"));
        // As escapes, since YAML does not allow all characters unescaped.
        let mut quoted = String::new();
        for character in value.chars() {
            let code = u32::from(character);
            quoted.push_str(&format!("\\U{code:08x}"));
        }
        let text = format!("#cloud-config\ncoreos:\n  etcd:\n    name: n\n    cors: \"{quoted}\"\n");
        let (plan, report) = prepared(text.as_bytes());
        let plan = plan.unwrap_or_else(|| panic!("{}", report.to_text("x")));
        let read = systemd::environment(&drop_in(&plan).expect("a drop-in"));
        prop_assert_eq!(read.get("ETCD_CORS"), Some(&value));
        prop_assert_eq!(read.len(), 2);
    }

    /// No text causes a panic, and a document with errors has no plan.
    #[test]
    fn no_document_causes_a_panic(body in "(?s)[\\PC\n\t :\\-\\[\\]{}&*!|>'\"%@`#,?]{0,200}") {
        let (plan, report) = prepared(format!("#cloud-config\n{body}").as_bytes());
        prop_assert_eq!(plan.is_none(), report.has_errors());
    }
}
