//! `etcd-discovery`, the discovery service: parse, run, exit code.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use oxetcd::config::service::{self, Asked};
use oxetcd::config::{ServiceConfig, Verbosity, help};
use oxetcd::discovery::Service;
use oxetcd::signals;
use tracing::Level;

fn main() -> ExitCode {
    match service::read(std::env::args_os().skip(1)) {
        Ok(Asked::Help) => print(&help::service_help()),
        Ok(Asked::Version) => print(&format!("{}\n", help::service_version())),
        Ok(Asked::Run(config)) => {
            start_logging(config.verbosity);
            run(*config)
        }
        Err(error) => {
            eprintln!("etcd-discovery: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// One line an event on stderr; without its time where the journal adds one.
fn start_logging(verbosity: Verbosity) {
    let level = match verbosity {
        Verbosity::Normal => Level::INFO,
        Verbosity::Verbose => Level::DEBUG,
        Verbosity::VeryVerbose => Level::TRACE,
    };
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(level)
        .with_target(false);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        lines.without_time().init();
    } else {
        lines.init();
    }
}

fn run(config: ServiceConfig) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        let shutdown = signals::shutdown().map_err(|error| format!("no signals: {error}"))?;
        Service::bind(config).await?.run(shutdown).await
    });
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}
