//! What a watch that runs commands is to do.

use std::path::PathBuf;
use std::sync::Arc;

use super::command::Spec;
use super::queue::Rules;
use super::state::Subject;

/// One watch and its command.
pub(crate) struct Plan {
    /// The hook's name, for lines about it; none for a watch that was typed.
    pub(crate) name: Option<String>,
    pub(crate) subject: Subject,
    /// Begin behind this index; none for what is to come. The state file counts more.
    pub(crate) after: Option<u64>,
    /// Run for what is there at the start.
    pub(crate) initial: bool,
    pub(crate) rules: Rules,
    pub(crate) spec: Arc<Spec>,
    pub(crate) on_failure: OnFailure,
    /// Whether to say that a command ended with another exit code than 0.
    pub(crate) says_codes: bool,
    pub(crate) state: Option<PathBuf>,
}

/// What to do when a command fails for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Go on; but one that cannot even be begun ends the watch with exit code 1, as it always did.
    Unset,
    /// Say so and go on.
    Continue,
    /// End the watch with the command's exit code. The change is not handled.
    Stop,
}
