//! Validation of variables before a member is started with them.

use std::ffi::OsString;

use super::env;
use super::error::Error;
use super::layer::Layer;
use super::merged::Merged;
use super::options::{Key, OPTIONS};
use super::source::Source;
use super::validated::Config;

/// Stands for the host name, which is not known here.
const HOSTNAME: &str = "host";

/// The names of the variables with which a member would not start, each with the error message. Files are not
/// read, since they may not exist yet. `lookup` returns the value of a variable.
pub fn find_invalid_variables(lookup: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Ok(mut layer) = env::read(|variable| lookup(variable).map(OsString::from)) else {
        return found;
    };
    layer.remove(Key::PeersFile);
    // Validation stops at the first error: remove its cause and validate the rest.
    while let Err(error) = validate(&layer) {
        let Some(key) = find_cause(&layer, &error) else {
            break;
        };
        if let Some((Source::Variable(variable), _)) = layer.find(key) {
            found.push((variable.clone(), error.to_string()));
        }
        layer.remove(key);
    }
    found
}

fn validate(layer: &Layer) -> Result<Config, Error> {
    Merged::new(OPTIONS, [layer.clone()]).validate(Some(HOSTNAME))
}

/// The option that causes an error. A default is valid by itself, so if the error is about a default, the cause
/// is the option without which the error does not occur.
fn find_cause(layer: &Layer, error: &Error) -> Option<Key> {
    let Error::Invalid { source, .. } = error else {
        return None;
    };
    let mut keys = layer.keys();
    match source {
        Source::Default(_) => keys.find(|key| {
            let mut without = layer.clone();
            without.remove(*key);
            validate(&without).err().as_ref() != Some(error)
        }),
        Source::Flag(_) | Source::Variable(_) | Source::File { .. } => {
            keys.find(|key| layer.find(*key).is_some_and(|(origin, _)| origin == source))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        find_invalid_variables(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(String::from(found.1))
        })
    }

    #[test]
    fn every_invalid_variable_is_returned_with_its_error() {
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
        let message = "ETCD_ADDR: \"10.0.0.5\" has no port; expected host:port";
        assert!(found[3].1.starts_with(message), "{}", found[3].1);
        assert!(found[2].1.contains("requires -key-file"), "{}", found[2].1);
    }

    #[test]
    fn an_error_about_a_default_is_caused_by_another_variable() {
        let found = names(&[("ETCD_PEER_HEARTBEAT_INTERVAL", "300"), ("ETCD_NAME", "n")]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "ETCD_PEER_HEARTBEAT_INTERVAL");
        assert!(
            found[0].1.contains("twice the heartbeat interval"),
            "{}",
            found[0].1
        );
    }

    #[test]
    fn valid_variables_have_no_errors() {
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
