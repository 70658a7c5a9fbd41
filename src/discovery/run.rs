//! The service as a process: signals, a service manager, its certificate read again.

use tracing::{error, info};

use super::Service;
use crate::config::ServiceConfig;
use crate::host::{Failure, signals, systemd};
use crate::net::tls::{self, Acceptor, Connector};

/// Run the service with `config` until a signal stops it.
///
/// # Errors
///
/// Why it did not start or does not go on.
pub fn run(config: ServiceConfig) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| format!("cannot start: {error}"))?;
    let ended = runtime.block_on(serve(config));
    // What is still being written to clients that do not read is not waited for.
    runtime.shutdown_background();
    ended
}

async fn serve(config: ServiceConfig) -> Result<(), Failure> {
    let no_signals = |error| format!("no signals: {error}");
    let shutdown = signals::shutdown().map_err(no_signals)?;
    let hangups = signals::hangups().map_err(no_signals)?;
    tokio::pin!(shutdown);
    let service = tokio::select! {
        service = Service::bind(config) => service?,
        signal = &mut shutdown => {
            info!("{signal}: stopped before it served");
            return Ok(());
        }
    };
    let told = format!("serves {}", service.url());
    systemd::ready(&told);
    let attending = tokio::spawn(attend(hangups, service.tls(), service.cluster_tls(), told));
    let stopping = async {
        let signal = shutdown.await;
        attending.abort();
        systemd::stopping(&format!("{signal}: stopping"));
        signal
    };
    service.run(stopping).await
}

/// Read the files of TLS again when told to, until it is aborted.
async fn attend(
    mut hangups: signals::Hangups,
    port: Option<Acceptor>,
    cluster: Option<Connector>,
    told: String,
) {
    while hangups.next().await {
        systemd::reloading();
        let port = port.as_ref().map(Acceptor::reload);
        report("the certificate", port);
        report("what is for -etcd", cluster.as_ref().map(Connector::reload));
        systemd::ready(&told);
    }
}

fn report(what: &str, read: Option<Result<(), tls::Error>>) {
    match read {
        Some(Ok(())) => info!("SIGHUP: read {what} again"),
        Some(Err(why)) => error!("SIGHUP: {what} is not read again: {why}"),
        None => {}
    }
}
