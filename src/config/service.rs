//! The options of `etcd-discovery`: a table of its own, of the same rows.

use std::ffi::OsString;
use std::path::PathBuf;

use super::options::{Key, Opt, Section, switch, value as row};
use super::value::{self, Problem, problem};
use super::{Config, Error, Layer, PortAddress, Source, TlsFiles, Verbosity, env, flags};
use crate::cluster::Address;

/// All options of the service.
#[rustfmt::skip]
pub static OPTIONS: &[Opt] = &[
    row(Key::Addr, &["addr"], &["ETCD_DISCOVERY_ADDR"], "HOST:PORT", Some("127.0.0.1:8087"), Section::Client,
        "The address machines are told to use."),
    row(Key::BindAddr, &["bind-addr"], &["ETCD_DISCOVERY_BIND_ADDR"], "HOST[:PORT]", None, Section::Client,
        "The address to listen on (default: every interface at the port of -addr, or only loopback if -addr is \
         loopback)."),
    row(Key::BaseUrl, &["base-url"], &["ETCD_DISCOVERY_BASE_URL"], "URL", None, Section::Client,
        "What the URLs of new tokens begin with (default: that of -addr)."),
    row(Key::CertFile, &["cert-file"], &["ETCD_DISCOVERY_CERT_FILE"], "FILE", None, Section::Client,
        "Serve by TLS, with this certificate (PEM, followed by its chain)."),
    row(Key::KeyFile, &["key-file"], &["ETCD_DISCOVERY_KEY_FILE"], "FILE", None, Section::Client,
        "The private key of that certificate (PEM, not encrypted)."),
    row(Key::DataDir, &["data-dir"], &["ETCD_DISCOVERY_DATA_DIR"], "DIR", None, Section::Store,
        "Keep the tokens in this directory (default: ./discovery.etcd)."),
    row(Key::Etcd, &["etcd"], &["ETCD_DISCOVERY_ETCD"], "URL,...", None, Section::Store,
        "Keep the tokens in the cluster of these members instead, below /_etcd/registry."),
    row(Key::EtcdCaFile, &["etcd-ca-file"], &["ETCD_DISCOVERY_ETCD_CA_FILE"], "FILE", None, Section::Store,
        "Believe members of -etcd whose certificate one of these has signed (PEM; default: those the system trusts)."),
    row(Key::EtcdCertFile, &["etcd-cert-file"], &["ETCD_DISCOVERY_ETCD_CERT_FILE"], "FILE", None, Section::Store,
        "Show this certificate to members of -etcd (PEM, followed by its chain)."),
    row(Key::EtcdKeyFile, &["etcd-key-file"], &["ETCD_DISCOVERY_ETCD_KEY_FILE"], "FILE", None, Section::Store,
        "The private key of that certificate (PEM, not encrypted)."),
    switch(Key::Verbose, &["v"], &["ETCD_DISCOVERY_VERBOSE"], Some("false"), Section::Output,
        "Say more about what it does."),
    switch(Key::VeryVerbose, &["vv"], &["ETCD_DISCOVERY_VERY_VERBOSE"], Some("false"), Section::Output,
        "Say everything."),
    switch(Key::Version, &["version"], &[], Some("false"), Section::Output,
        "Print the version."),
    switch(Key::Help, &["h", "help"], &[], Some("false"), Section::Output,
        "Print this."),
];

/// Everything the service is told at its start, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Its port.
    pub port: PortAddress,
    /// The files of its TLS; none for plain HTTP.
    pub tls: Option<TlsFiles>,
    /// What the URLs of tokens begin with, without a slash at the end; none for the port's own URL.
    pub base_url: Option<String>,
    /// Where it keeps the tokens.
    pub keep: Keep,
    /// How much to say.
    pub verbosity: Verbosity,
}

/// Where the service keeps its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// In a directory of its own, as the only member of its cluster.
    Here(Box<Config>),
    /// In a cluster.
    Cluster(Cluster),
}

/// The cluster that keeps the tokens, and how it is spoken to. Nothing is read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its members.
    pub members: Vec<Address>,
    /// The authorities that sign its certificates; none for the system's.
    pub ca: Option<PathBuf>,
    /// The certificate it is shown.
    pub identity: Option<TlsFiles>,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To run like this.
    Run(Box<ServiceConfig>),
    /// For the help.
    Help,
    /// For the version.
    Version,
}

/// What the program's arguments (without its name) and the environment ask for.
///
/// # Errors
///
/// The first thing that is wrong, naming the flag or variable, the value, and what was expected.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, Error> {
    let flags = flags::read_by(OPTIONS, arguments)?;
    if flags.get(Key::Help, value::truth)? == Some(true) {
        return Ok(Asked::Help);
    }
    if flags.get(Key::Version, value::truth)? == Some(true) {
        return Ok(Asked::Version);
    }
    let variables = env::read_by(OPTIONS, |variable| std::env::var_os(variable))?;
    let config = validate(&flags.or(variables))?;
    Ok(Asked::Run(Box::new(config)))
}

/// The configuration that a layer describes.
///
/// # Errors
///
/// The first value that will not do.
pub fn validate(said: &Layer) -> Result<ServiceConfig, Error> {
    let cluster = said
        .get(Key::Etcd, members)?
        .filter(|members| !members.is_empty());
    let keep = match cluster {
        Some(members) => {
            said.get(Key::DataDir, |_| {
                let what = "is of no use where -etcd keeps the tokens";
                problem::<()>(what, "either -data-dir or -etcd")
            })?;
            Keep::Cluster(Cluster {
                members,
                ca: said.file(Key::EtcdCaFile)?,
                identity: said.identity(Key::EtcdCertFile, Key::EtcdKeyFile)?,
            })
        }
        None => {
            for key in [Key::EtcdCaFile, Key::EtcdCertFile, Key::EtcdKeyFile] {
                said.get(key, |_| {
                    let what = "is of no use without -etcd";
                    problem::<()>(what, "the members that it is for in -etcd")
                })?;
            }
            let directory = said.get(Key::DataDir, value::directory)?;
            Keep::Here(Box::new(member(directory)?))
        }
    };
    let layer = said.clone().or(Layer::defaults_of(OPTIONS));
    let tls = layer.tls(Key::CertFile, Key::KeyFile, Key::CaFile)?;
    Ok(ServiceConfig {
        port: layer.endpoint(Key::Addr, Key::BindAddr, tls.is_some())?,
        tls,
        base_url: layer.get(Key::BaseUrl, base_url)?,
        keep,
        verbosity: layer.verbosity()?,
    })
}

/// The member that keeps the tokens; it has no ports.
fn member(directory: Option<PathBuf>) -> Result<Config, Error> {
    let mut layer = Layer::defaults();
    let source = Source::Default(Key::Name);
    layer.set(Key::Name, source, String::from("discovery"));
    let mut config = layer.validate(None)?;
    config.data_dir = directory.unwrap_or(config.data_dir);
    Ok(config)
}

/// Members of a cluster, by the URLs of their client ports.
fn members(text: &str) -> Result<Vec<Address>, Problem> {
    value::addresses(text)
}

fn base_url(text: &str) -> Result<String, Problem> {
    const EXPECTED: &str = "a URL such as https://discovery.example";
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match rest.map(|rest| rest.trim_end_matches('/')) {
        None => problem("is no URL", EXPECTED),
        Some("") => problem("has no host", EXPECTED),
        Some(rest) if rest.contains(['?', '#']) => {
            problem("has something behind its path", EXPECTED)
        }
        Some(rest) if !rest.bytes().all(|byte| byte.is_ascii_graphic()) => {
            problem("has a character in it that no URL has", EXPECTED)
        }
        Some(_) => Ok(String::from(text.trim_end_matches('/'))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(arguments: &[&str]) -> Result<ServiceConfig, Error> {
        validate(&flags::read_by(
            OPTIONS,
            arguments.iter().map(OsString::from),
        )?)
    }

    #[test]
    fn forms() {
        let config = with(&[]).expect("valid");
        assert_eq!(config.port.advertised.url(), "http://127.0.0.1:8087");
        let Keep::Here(member) = config.keep else {
            panic!("nothing was said about a cluster");
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
        assert!(matches!(config.keep, Keep::Cluster(cluster) if cluster.members.len() == 2));
    }

    #[test]
    fn refused() {
        for (arguments, said) in [
            (&["-peers=a:1"][..], "unknown flag \"-peers\""),
            (
                &["-base-url=d.example"],
                "-base-url: \"d.example\" is no URL",
            ),
            (
                &["-data-dir=x", "-etcd=a:1"],
                "-data-dir: \"x\" is of no use",
            ),
            (&["-cert-file=c"], "needs -key-file too"),
            (&["-etcd=a"], "has no port"),
            (&["-etcd-ca-file=c"], "is of no use without -etcd"),
            (
                &["-etcd=https://a:1", "-etcd-cert-file=c"],
                "needs -etcd-key-file too",
            ),
        ] {
            let error = with(arguments).expect_err(said).to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn every_key_has_a_row() {
        for option in super::super::options::OPTIONS.iter().chain(OPTIONS) {
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
