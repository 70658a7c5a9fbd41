//! `etcd-discovery`, the discovery service: parse, run, exit code.

use std::io::Write;
use std::process::ExitCode;

use oxetcd::config::help;
use oxetcd::config::service::{self, Invocation};
use oxetcd::discovery;
use oxetcd::host::Failure;
use oxetcd::host::logging::Logging;

fn main() -> ExitCode {
    match service::read(std::env::args_os().skip(1)) {
        Ok(Invocation::Help) => print(&help::service_help()),
        Ok(Invocation::Version) => print(&format!("{}\n", help::service_version())),
        Ok(Invocation::Run(config)) => {
            let _logging = Logging::start(config.verbosity);
            match discovery::run(*config) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => {
                    tracing::error!("{failure}");
                    ExitCode::from(failure.exit_status())
                }
            }
        }
        Err(error) => {
            eprintln!("etcd-discovery: {error}");
            ExitCode::from(Failure::from(error).exit_status())
        }
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
