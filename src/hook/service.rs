//! Several watches in one process.

use std::rc::Rc;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::PrintLine;
use super::notify::Notify;
use super::plan::Plan;
use super::run::{RunError, run};
use super::shutdown::Shutdown;
use crate::client::Client;

/// Run all plans until they end, and return the exit code: the largest of theirs. A plan that fails does not
/// end the others; its error is printed, and its exit code is what `code_of` returns. Must be called in a
/// `LocalSet`.
///
/// # Errors
///
/// The error of a plan that is the only one; [`RunError::Lost`] if the task of a watch panicked.
pub(crate) async fn run_plans(
    plans: Vec<Plan>,
    client: Arc<Client>,
    shutdown: &Shutdown,
    print: PrintLine,
    code_of: fn(&RunError) -> u8,
) -> Result<u8, RunError> {
    shutdown.set_grace(plans.iter().filter_map(|plan| plan.spec.timeout));
    let notify = Rc::new(Notify::new(plans.len()));
    let is_single = plans.len() == 1;
    let mut runs = JoinSet::new();
    for plan in plans {
        let (client, stage) = (Arc::clone(&client), shutdown.stage.clone());
        let notify = Rc::clone(&notify);
        runs.spawn_local(async move {
            let name = plan.name.clone();
            (name, run(plan, client, stage, notify, print).await)
        });
    }
    let mut code = 0;
    loop {
        let ended = tokio::select! {
            ended = runs.join_next() => ended,
            () = notify.maintain() => None,
        };
        let (name, outcome) = match ended {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => return Err(RunError::Lost(error)),
            None => return Ok(code),
        };
        match outcome {
            Ok(ended) => code = code.max(ended),
            Err(error) if is_single => return Err(error),
            Err(error) => {
                print(name.as_deref(), &error.to_string());
                notify.mark_started();
                code = code.max(code_of(&error));
            }
        }
    }
}
