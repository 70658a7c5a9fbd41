//! `etcdctl setdir`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, directory, session};
use crate::client::{Error, Put};

/// The API's error code "Key already exists".
const EXISTS: u64 = 105;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("setdir")
        .about("Create a directory, or set the TTL of an existing one.")
        .override_usage("etcdctl setdir [OPTIONS] KEY")
        .after_help("Example: etcdctl setdir /services/web --ttl 60")
        .args([
            args::key("Directory to create; missing parents are created."),
            args::rest(),
            args::number(
                "ttl",
                "SECONDS",
                "Time to live, in seconds (default: none for a new directory, unchanged for an existing one).",
            ),
        ])
}

/// Create a directory, or set its TTL.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        let ttl = args::read_number(matches, "ttl");
        let put = Put {
            directory: true,
            prev_exist: Some(false),
            ttl,
            ..Put::default()
        };
        let answer = match session.send(&put.request(key)).await {
            Ok((answer, _)) => answer,
            Err(Error::Api(error)) if error.error_code == EXISTS && ttl.is_some() => {
                return directory::refresh(session, key, ttl).await;
            }
            Err(Error::Api(error)) if error.error_code == EXISTS => {
                directory::get(session, key).await?
            }
            Err(error) => return Err(error.into()),
        };
        Ok(session.output.print_directory(&answer)?)
    })
}
