//! `etcdctl discovery new`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, output, session};
use crate::client::Request;
use crate::cluster::Address;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("discovery")
        .about("Create discovery tokens.")
        .subcommand_required(true)
        .after_help("Example: etcdctl discovery new --size 3 --url http://discovery.example:8087")
        .subcommand(
            Command::new("new")
                .about("Create a token for a new cluster and print its URL, for the -discovery option of etcd.")
                .override_usage("etcdctl discovery new [--size N] --url URL")
                .after_help(
                    "Example: etcdctl discovery new --size 3 --url http://discovery.example:8087",
                )
                .args([
                    args::option("url", "URL", "URL of the discovery service.").required(true),
                    args::number("size", "N", "Number of members of the new cluster.")
                        .value_parser(clap::value_parser!(u64).range(1..)),
                ]),
        )
}

/// Create a token.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    let Some((_, matches)) = matches.subcommand() else {
        return Err(Exit::usage("discovery: expected new"));
    };
    let url = args::text(matches, "url").unwrap_or_default();
    let (service, path) = parse_url(url)?;
    let query =
        args::read_number(matches, "size").map_or_else(String::new, |n| format!("?size={n}"));
    session::runtime()?.block_on(async {
        let client = session::client(global, vec![service]);
        let request = Request::page(&format!("{path}/new{query}"));
        let answer = client
            .send(&request)
            .await
            .map_err(|error| Exit::unreachable(format!("{url}: {error}")))?;
        if !answer.is_success() {
            return Err(Exit::from_answer(&answer));
        }
        let token = String::from_utf8_lossy(&answer.body);
        if !token.contains("://") {
            return Err(Exit::refused(format!(
                "{url}: not a valid token URL: {token}"
            )));
        }
        output::print(&format!("{}\n", token.trim()))?;
        Ok(())
    })
}

/// The address of a URL, and its path without `/new`.
fn parse_url(url: &str) -> Result<(Address, String), Exit> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let port = if scheme == "https://" { 443 } else { 80 };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = Address::parse_with_port(&format!("{scheme}{authority}"), port)
        .map_err(|problem| Exit::usage(format!("--url: {url:?} {problem}")))?;
    let path = path.trim_end_matches('/');
    let path = path
        .strip_suffix("new")
        .unwrap_or(path)
        .trim_end_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    Ok((address, format!("{slash}{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_end_with_new() {
        let parsed = |url: &str| parse_url(url).map(|(address, path)| (address.to_string(), path));
        for (url, address, path) in [
            ("http://d.example", "d.example:80", ""),
            ("d.example:8087/new", "d.example:8087", ""),
            ("http://d.example:8087/a/b/", "d.example:8087", "/a/b"),
            ("http://d.example:8087/a/new", "d.example:8087", "/a"),
        ] {
            let wanted = (String::from(address), String::from(path));
            assert_eq!(parsed(url).expect(url), wanted, "{url}");
        }
        assert_eq!(parsed("ftp://d.example").expect_err("no http").code, 1);
        assert_eq!(parsed("").expect_err("nothing").code, 1);
    }
}
