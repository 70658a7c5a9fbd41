//! The service as a process: signals, the service manager, and reloading its TLS files.

use tracing::{error, info};

use super::Service;
use crate::config::ServiceConfig;
use crate::host::{Failure, signals, systemd};
use crate::net::tls::{self, Acceptor, Connector};

/// Run the service until a signal stops it. Readiness and the stop are reported to the service manager once.
///
/// # Errors
///
/// Those of [`Service::bind`] and [`Service::run`], and [`Failure::Other`]: the runtime or the signal handlers
/// cannot be set up.
pub fn run(config: ServiceConfig) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| format!("cannot start the async runtime: {error}"))?;
    let result = runtime.block_on(serve(config));
    // Responses to clients that do not read are not waited for.
    runtime.shutdown_background();
    result
}

async fn serve(config: ServiceConfig) -> Result<(), Failure> {
    let no_signals = |error| format!("cannot listen for signals: {error}");
    let shutdown = signals::shutdown().map_err(no_signals)?;
    let hangups = signals::hangups().map_err(no_signals)?;
    tokio::pin!(shutdown);
    let service = tokio::select! {
        service = Service::bind(config) => service?,
        signal = &mut shutdown => {
            info!(signal, "stopped before serving");
            return Ok(());
        }
    };
    let status = format!("serving, new tokens at {}/new", service.base_url());
    systemd::ready(&status);
    let reloading = tokio::spawn(reload_on_hangup(
        hangups,
        service.tls(),
        service.cluster_tls(),
        status,
    ));
    let stopping = async {
        let signal = shutdown.await;
        reloading.abort();
        systemd::stopping(&format!("stopping after {signal}"));
        signal
    };
    service.run(stopping).await
}

/// Reload the TLS files at each SIGHUP.
async fn reload_on_hangup(
    mut hangups: signals::Hangups,
    port: Option<Acceptor>,
    cluster: Option<Connector>,
    status: String,
) {
    while hangups.next().await {
        systemd::reloading();
        log_reload("port", port.as_ref().map(Acceptor::reload));
        log_reload("-etcd", cluster.as_ref().map(Connector::reload));
        systemd::ready(&status);
    }
}

fn log_reload(used_for: &str, result: Option<Result<(), tls::Error>>) {
    match result {
        Some(Ok(())) => info!(used_for, "TLS files reloaded"),
        Some(Err(error)) => error!(
            used_for,
            "cannot reload TLS files, the old ones stay: {error}"
        ),
        None => {}
    }
}
