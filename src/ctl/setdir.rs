//! `etcdctl setdir`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, directory, session};
use crate::client::{Error, Put};

/// The API's number for a key that is there already.
const EXISTS: u64 = 105;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("setdir")
        .about("Make a directory, or give one that is there a new time to live")
        .override_usage("etcdctl setdir [OPTIONS] KEY")
        .after_help("Example: etcdctl setdir /services/web --ttl 60")
        .args([
            args::key("The directory; those on the way to it are made"),
            args::rest(),
            args::number(
                "ttl",
                "SECONDS",
                "How long it lives; without it a new one lives for good and an old one as before",
            ),
        ])
}

/// Make or refresh a directory.
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
        let answer = match session.ask(&put.request(key)).await {
            Ok((answer, _)) => answer,
            Err(Error::Api(error)) if error.error_code == EXISTS && ttl.is_some() => {
                return directory::refresh(session, key, ttl).await;
            }
            Err(Error::Api(error)) if error.error_code == EXISTS => {
                directory::look(session, key).await?
            }
            Err(error) => return Err(error.into()),
        };
        Ok(session.output.directory(&answer)?)
    })
}
