//! `etcd-cloudinit`: applies a cloud-config to the host it runs on.
//!
//! A document passes through these steps: [`sources`] loads its bytes, [`form`] detects the text in them,
//! [`substitute`] replaces the address variables, [`read`] parses YAML nodes, [`document`] reads the sections
//! as they are written, [`merge`] adds values that the document does not set, [`check`] verifies that
//! everything can be applied, [`plan`] lists the files and commands, and [`apply`] carries them out. Errors and
//! warnings go to a [`report`].
//!
//! [`prepare()`] is all steps from the bytes to the plan, without IO: only [`sources`] and [`interfaces`] read
//! from the host or the network, and only [`apply`] changes anything.

pub mod accounts;
pub mod addresses;
pub mod apply;
pub mod check;
pub mod command;
pub mod document;
pub mod form;
pub mod hook_record;
pub mod interfaces;
pub mod merge;
pub mod node;
pub mod paths;
pub mod plan;
mod prepare;
pub mod quote;
pub mod read;
pub mod report;
mod scalar;
pub mod sources;
pub mod substitute;
mod tag;

#[cfg(test)]
mod read_tests;

pub use prepare::{Context, Outcome, prepare};
