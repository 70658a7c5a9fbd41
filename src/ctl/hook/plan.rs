//! What a watch that runs commands is to do.

use std::path::PathBuf;
use std::sync::Arc;

use super::command::Spec;
use super::queue::Rules;
use super::state::Subject;

/// One watch and its command.
pub(in crate::ctl) struct Plan {
    /// The hook's name, for lines about it; none for a watch that was typed.
    pub(in crate::ctl) name: Option<String>,
    pub(in crate::ctl) subject: Subject,
    /// Begin behind this index; none for what is to come. The state file counts more.
    pub(in crate::ctl) after: Option<u64>,
    /// Run for what is there at the start.
    pub(in crate::ctl) initial: bool,
    pub(in crate::ctl) rules: Rules,
    pub(in crate::ctl) spec: Arc<Spec>,
    pub(in crate::ctl) on_failure: OnFailure,
    /// Whether to say that a command ended with another exit code than 0.
    pub(in crate::ctl) says_codes: bool,
    pub(in crate::ctl) state: Option<PathBuf>,
}

/// What to do when a command fails for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ctl) enum OnFailure {
    /// Go on; but one that cannot even be begun ends the watch with exit code 1, as it always did.
    Unset,
    /// Say so and go on.
    Continue,
    /// End the watch with the command's exit code. The change is not handled.
    Stop,
}
