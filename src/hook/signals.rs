//! Being told to stop, in steps.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::command::{KILL_AFTER, Stage};
use super::notify;

/// Listen for SIGINT and SIGTERM from now on. At the first no more commands are begun; those that run may
/// take as long as `grace` says then to end. Then, or at the second signal, they are asked to end, and after [`KILL_AFTER`], or
/// at the third, they are killed.
///
/// Must be called in a runtime.
///
/// # Errors
///
/// The system's, if signals cannot be listened for.
pub(super) fn stages(grace: watch::Receiver<Duration>) -> io::Result<watch::Receiver<Stage>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (stage, told) = watch::channel(Stage::Run);
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        notify::stopping();
        stage.send_replace(Stage::Drain);
        let grace = *grace.borrow();
        for (limit, next) in [(grace, Stage::Terminate), (KILL_AFTER, Stage::Kill)] {
            // A limit that comes first is as good as a signal.
            let _ = tokio::time::timeout(limit, either(&mut interrupt, &mut terminate)).await;
            stage.send_replace(next);
        }
        // Whoever looks at the stage must not find it gone.
        std::future::pending::<()>().await;
    });
    Ok(told)
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
