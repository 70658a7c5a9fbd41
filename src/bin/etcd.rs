//! `etcd`, the daemon: parse, run, exit code.

use std::io::Write;
use std::process::ExitCode;

use oxetcd::config::{self, Invocation, help};
use oxetcd::host::Failure;
use oxetcd::host::logging::Logging;
use oxetcd::server::daemon;

fn main() -> ExitCode {
    let read = || config::read(std::env::args_os().skip(1));
    match read() {
        Ok(Invocation::Help) => print(&help::help()),
        Ok(Invocation::Version) => print(&format!("{}\n", help::version())),
        Ok(Invocation::PrintConfig { text, notes }) => {
            for note in notes {
                eprintln!("etcd: {note}");
            }
            print(&text)
        }
        Ok(Invocation::Run { config, notes }) => {
            let logging = Logging::start(config.verbosity);
            for note in notes {
                tracing::warn!("{note}");
            }
            match daemon::run(*config, logging, read) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => {
                    tracing::error!("{failure}");
                    ExitCode::from(failure.exit_status())
                }
            }
        }
        Err(error) => {
            eprintln!("etcd: {error}");
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
