//! Being told to stop, or to read the options again.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// What a shell shows for a program that a signal ended: this and the signal's number.
const EXIT_SIGNALLED: i32 = 128;

/// Listen for SIGINT and SIGTERM from now on. What is returned ends at the first one and gives its name;
/// a second one ends the process at once, which loses nothing that was acknowledged.
///
/// Must be called in a runtime.
///
/// # Errors
///
/// The system's, if signals cannot be listened for.
pub fn shutdown() -> io::Result<impl Future<Output = &'static str> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (first, told) = oneshot::channel();
    tokio::spawn(async move {
        let (name, _) = next(&mut interrupt, &mut terminate).await;
        // Whoever no longer waits for it is stopping already.
        let _ = first.send(name);
        let (name, number) = next(&mut interrupt, &mut terminate).await;
        tracing::warn!("{name} again: exiting at once");
        std::process::exit(EXIT_SIGNALLED + number);
    });
    Ok(async move { told.await.unwrap_or("the end of the runtime") })
}

/// Each SIGHUP from now on.
pub struct Hangups(Signal);

impl Hangups {
    /// Wait for the next one; false if there will be none.
    pub async fn next(&mut self) -> bool {
        self.0.recv().await.is_some()
    }
}

/// Listen for SIGHUP from now on, which no longer ends the process. Must be called in a runtime.
///
/// # Errors
///
/// The system's, if signals cannot be listened for.
pub fn hangups() -> io::Result<Hangups> {
    signal(SignalKind::hangup()).map(Hangups)
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = interrupt.recv() => ("SIGINT", SignalKind::interrupt().as_raw_value()),
        _ = terminate.recv() => ("SIGTERM", SignalKind::terminate().as_raw_value()),
    }
}
