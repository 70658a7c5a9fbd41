//! The configuration of `etcd-discovery`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::address::PortAddress;
use super::error::Error;
use super::layer::Layer;
use super::merged::Merged;
use super::options::{DISCOVERY_OPTIONS, Key, OPTIONS};
use super::source::Source;
use super::tls::TlsFiles;
use super::validated::{Config, Verbosity};
use super::value::{self, InvalidValue, invalid};
use super::{env, flags};
use crate::cluster::Address;

/// The configuration of the service, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// The address of the port.
    pub port: PortAddress,
    /// TLS files of the port; none for plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The base of token URLs, without a trailing slash; none for the URL of the port.
    pub base_url: Option<String>,
    /// Where the tokens are stored.
    pub store: TokenStore,
    /// The lowest level that is logged.
    pub verbosity: Verbosity,
}

/// Where the tokens are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenStore {
    /// In a data directory: the service embeds the only member of a cluster.
    Embedded(Box<Config>),
    /// In an etcd cluster.
    Cluster(Cluster),
}

/// The cluster that stores the tokens, and the TLS files for it. The files are not read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its members, by their client addresses.
    pub members: Vec<Address>,
    /// CA certificate for verifying them; none for those of the system.
    pub ca: Option<PathBuf>,
    /// Client certificate; none to connect without one.
    pub identity: Option<TlsFiles>,
}

/// What the command line requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Run the service.
    Run(Box<ServiceConfig>),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// Read the arguments (without the name of the program) and the environment.
///
/// # Errors
///
/// The first error of [`flags::read`], [`env::read`] or [`validate`].
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Error> {
    let flags = flags::read_table(DISCOVERY_OPTIONS, arguments)?;
    if flags.get(Key::Help, value::parse_bool)? == Some(true) {
        return Ok(Invocation::Help);
    }
    if flags.get(Key::Version, value::parse_bool)? == Some(true) {
        return Ok(Invocation::Version);
    }
    let variables = env::read_table(DISCOVERY_OPTIONS, |variable| std::env::var_os(variable))?;
    let config = validate([flags, variables])?;
    Ok(Invocation::Run(Box::new(config)))
}

/// Merge and validate the layers, the highest first.
///
/// # Errors
///
/// [`Error::Invalid`]: the first value that cannot be parsed, is out of range, or conflicts with another.
pub fn validate(layers: impl IntoIterator<Item = Layer>) -> Result<ServiceConfig, Error> {
    let merged = Merged::new(DISCOVERY_OPTIONS, layers);
    let store = token_store(&merged)?;
    let tls = merged.tls(Key::CertFile, Key::KeyFile, Key::CaFile)?;
    Ok(ServiceConfig {
        store,
        port: merged.port_address(Key::Addr, Key::BindAddr, tls.is_some())?,
        tls,
        base_url: merged.get(Key::BaseUrl, parse_base_url)?,
        verbosity: merged.verbosity()?,
    })
}

fn token_store(merged: &Merged) -> Result<TokenStore, Error> {
    let members = merged
        .get(Key::Etcd, value::parse_addresses)?
        .filter(|members| !members.is_empty());
    if let Some(members) = members {
        merged.get(Key::DataDir, |_| {
            let what = "cannot be combined with -etcd";
            invalid::<()>(what, "either -data-dir or -etcd")
        })?;
        return Ok(TokenStore::Cluster(Cluster {
            members,
            ca: merged.file(Key::EtcdCaFile)?,
            identity: merged.identity(Key::EtcdCertFile, Key::EtcdKeyFile)?,
        }));
    }
    for key in [Key::EtcdCaFile, Key::EtcdCertFile, Key::EtcdKeyFile] {
        merged.get(key, |_| {
            let what = "has no effect without -etcd";
            invalid::<()>(what, "the client URLs of the cluster in -etcd")
        })?;
    }
    let directory = merged.get(Key::DataDir, value::parse_path)?;
    Ok(TokenStore::Embedded(Box::new(embedded_member(directory)?)))
}

/// The configuration of the embedded member that stores the tokens; it has no ports.
fn embedded_member(directory: Option<PathBuf>) -> Result<Config, Error> {
    let mut layer = Layer::default();
    let source = Source::Default(Key::Name);
    layer.set(Key::Name, source, String::from("discovery"));
    let mut config = Merged::new(OPTIONS, [layer]).validate(None)?;
    config.data_dir = directory.unwrap_or(config.data_dir);
    Ok(config)
}

/// Parse the base of token URLs.
fn parse_base_url(text: &str) -> Result<String, InvalidValue> {
    const EXPECTED: &str = "a URL such as https://discovery.example";
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match rest.map(|rest| rest.trim_end_matches('/')) {
        None => invalid("is not a valid URL", EXPECTED),
        Some("") => invalid("has no host", EXPECTED),
        Some(rest) if rest.contains(['?', '#']) => invalid("has a query or a fragment", EXPECTED),
        Some(rest) if !rest.bytes().all(|byte| byte.is_ascii_graphic()) => invalid(
            "contains a character that is not allowed in a URL",
            EXPECTED,
        ),
        Some(_) => Ok(String::from(text.trim_end_matches('/'))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(arguments: &[&str]) -> Result<ServiceConfig, Error> {
        let arguments = arguments.iter().map(OsString::from);
        validate([flags::read_table(DISCOVERY_OPTIONS, arguments)?])
    }

    #[test]
    fn options_are_validated() {
        let config = with(&[]).expect("valid");
        assert_eq!(config.port.advertised.url(), "http://127.0.0.1:8087");
        let TokenStore::Embedded(member) = config.store else {
            panic!("a cluster without -etcd");
        };
        assert_eq!(member.data_dir, PathBuf::from("discovery.etcd"));

        let config = with(&[
            "-addr=d.example:443",
            "--cert-file=c",
            "-key-file",
            "k",
            "-base-url=https://d.example/",
            "-etcd=http://10.0.0.1:4001,10.0.0.2:4001",
        ]);
        let config = config.expect("valid");
        assert_eq!(config.port.advertised.url(), "https://d.example:443");
        assert_eq!(config.base_url.as_deref(), Some("https://d.example"));
        assert!(matches!(config.store, TokenStore::Cluster(cluster) if cluster.members.len() == 2));
    }

    #[test]
    fn invalid_options_are_rejected() {
        for (arguments, expected) in [
            (&["-peers=a:1"][..], "unknown flag \"-peers\""),
            (
                &["-base-url=d.example"],
                "-base-url: \"d.example\" is not a valid URL",
            ),
            (
                &["-data-dir=x", "-etcd=a:1"],
                "-data-dir: \"x\" cannot be combined with -etcd",
            ),
            (&["-cert-file=c"], "requires -key-file"),
            (&["-etcd=a"], "has no port"),
            (&["-etcd-ca-file=c"], "has no effect without -etcd"),
            (
                &["-etcd=https://a:1", "-etcd-cert-file=c"],
                "requires -etcd-key-file",
            ),
        ] {
            let error = with(arguments).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn every_key_has_a_row() {
        for option in OPTIONS.iter().chain(DISCOVERY_OPTIONS) {
            assert_eq!(option.key.option().key, option.key);
            assert!(option.help.ends_with('.'), "{}", option.name());
        }
        for key in [
            Key::BaseUrl,
            Key::Etcd,
            Key::EtcdCaFile,
            Key::EtcdCertFile,
            Key::EtcdKeyFile,
        ] {
            assert_eq!(key.option().key, key);
        }
    }
}
