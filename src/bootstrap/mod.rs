//! How a starting member finds its cluster: by its data directory, else by a discovery token, else
//! through the peers it was given.
//!
//! - [`decide`]: what to do, purely.
//! - [`join`]: asking the peers for a place, and the page of the peer port where they are asked.
//! - `discovery` and [`Registry`]: finding the others by a token, and being found.
//! - [`begin`]: from the data directory to a member that can run, or a machine that waits for a
//!   place; `found`: the first of its cluster; `anew`: alone, when the others are lost.
//! - `held`, [`PreparedMember`]: what the directory holds, and the member that goes on with it.
//! - [`Waiting`]: a machine without a place, and how it gets one.
//! - [`admit`]: whether a machine that asks may have one, purely.

mod begin;
mod beginning;
mod discovery;
mod force_new_cluster;
mod found;
mod local;
mod plan;
mod registry;
mod waiting;

pub use begin::begin;
pub use beginning::PreparedMember;
pub use local::limits;
pub use plan::{DataDirAction, Decision, Directory, Given, Refusal, Start, decide};
pub use registry::Registry;
pub use waiting::{Asked, Contacts, Started, Waiting};

/// An error as a sentence.
fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
