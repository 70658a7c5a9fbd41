//! `etcd-discovery`, the discovery service: parse, run, exit code.

use std::io::Write;
use std::process::ExitCode;

use oxetcd::config::service::{self, Asked};
use oxetcd::config::{ServiceConfig, help};
use oxetcd::discovery::Service;
use oxetcd::failure::Failure;
use oxetcd::journal::Journal;
use oxetcd::signals;

fn main() -> ExitCode {
    match service::read(std::env::args_os().skip(1)) {
        Ok(Asked::Help) => print(&help::service_help()),
        Ok(Asked::Version) => print(&format!("{}\n", help::service_version())),
        Ok(Asked::Run(config)) => {
            Journal::start(config.verbosity);
            run(*config)
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
