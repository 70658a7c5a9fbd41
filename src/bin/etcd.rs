//! `etcd`, the daemon: parse, run, exit code.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use oxetcd::config::{self, Asked, Config, Verbosity, help};
use oxetcd::server::Server;
use oxetcd::signals;
use tracing::Level;

fn main() -> ExitCode {
    match config::read(std::env::args_os().skip(1)) {
        Ok(Asked::Help) => print(&help::help()),
        Ok(Asked::Version) => print(&format!("{}\n", help::version())),
        Ok(Asked::Print { page, notes }) => {
            for note in notes {
                eprintln!("etcd: {note}");
            }
            print(&page)
        }
        Ok(Asked::Run { config, notes }) => {
            start_logging(config.verbosity);
            for note in notes {
                tracing::warn!("{note}");
            }
            run(*config)
        }
        Err(error) => {
            eprintln!("etcd: {error}");
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

fn run(config: Config) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        let shutdown = signals::shutdown().map_err(|error| format!("no signals: {error}"))?;
        tokio::pin!(shutdown);
        let server = tokio::select! {
            server = Server::bind(config) => server?,
            signal = &mut shutdown => {
                tracing::info!("{signal}: stopped before it served");
                return Ok(());
            }
        };
        server.run(shutdown).await
    });
    // What is still being written to clients that do not read is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}
