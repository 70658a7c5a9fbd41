//! What a member would refuse in variables that it has not been given yet.

use std::ffi::OsString;

use super::layer::{Layer, Source};
use super::options::Key;
use super::{Error, env};

/// What a member's name stands for where it is not known: the host's name is a name.
const HOSTNAME: &str = "host";

/// Each variable that keeps a member from starting, by its name, and the words it would end with. Files are not
/// read: they need not be there yet. `lookup` gives the value of a variable.
pub fn refused(lookup: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Ok(mut layer) = env::read(|variable| lookup(variable).map(OsString::from)) else {
        return found;
    };
    layer.forget(Key::PeersFile);
    // The first problem is all that is said at a time, so what it is about is left out and the rest looked at.
    while let Err(error) = layer.validate(Some(HOSTNAME)) {
        let Some(key) = to_blame(&layer, &error) else {
            break;
        };
        if let Some((Source::Variable(variable), _)) = layer.said(key) {
            found.push((variable.clone(), error.to_string()));
        }
        layer.forget(key);
    }
    found
}

/// The option that an error is about. A default is good by itself, so there it is the option without which
/// there is no such error.
fn to_blame(layer: &Layer, error: &Error) -> Option<Key> {
    let Error::Invalid { source, .. } = error else {
        return None;
    };
    let mut keys = layer.keys().into_iter();
    match source {
        Source::Default(_) => keys.find(|key| {
            let mut without = layer.clone();
            without.forget(*key);
            without.validate(Some(HOSTNAME)).err().as_ref() != Some(error)
        }),
        Source::Flag(_) | Source::Variable(_) | Source::File { .. } => {
            keys.find(|key| layer.said(*key).is_some_and(|(said, _)| said == source))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        refused(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(String::from(found.1))
        })
    }

    #[test]
    fn every_bad_variable_is_named_with_the_words_of_a_start() {
        let found = names(&[
            ("ETCD_ADDR", "10.0.0.5"),
            ("ETCD_NAME", "a/b"),
            ("ETCD_SNAPSHOTCOUNT", "-5"),
            ("ETCD_CERT_FILE", "/no/such/file"),
            ("ETCD_READY", "quorum"),
            ("ETCD_PEERS_FILE", "/no/such/file"),
        ]);
        let variables: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            variables,
            [
                "ETCD_NAME",
                "ETCD_SNAPSHOTCOUNT",
                "ETCD_CERT_FILE",
                "ETCD_ADDR"
            ]
        );
        let words = "ETCD_ADDR: \"10.0.0.5\" has no port; expected host:port";
        assert!(found[3].1.starts_with(words), "{}", found[3].1);
        assert!(found[2].1.contains("needs -key-file too"), "{}", found[2].1);
    }

    #[test]
    fn what_is_wrong_with_a_default_is_due_to_another_variable() {
        let found = names(&[("ETCD_PEER_HEARTBEAT_INTERVAL", "300"), ("ETCD_NAME", "n")]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "ETCD_PEER_HEARTBEAT_INTERVAL");
        assert!(found[0].1.contains("two heartbeats"), "{}", found[0].1);
    }

    #[test]
    fn good_variables_are_good_together() {
        let tls = [
            ("ETCD_CERT_FILE", "/no/such/cert"),
            ("ETCD_KEY_FILE", "/no/such/key"),
            ("ETCD_ADDR", "10.0.0.5:4001"),
            ("ETCD_PEERS", ""),
            ("ETCD_NO_SUCH", "x"),
        ];
        assert_eq!(names(&tls), []);
    }
}
