//! Membership of a cluster over the network: joining it, leaving it and asking who is in it.
//!
//! - [`api`]: the pages of the peer port and their JSON.
//! - [`client`]: asking the members of a cluster to join, and for the member list.
//! - [`join`]: the server side of joining.
//! - [`admin`]: removing members and changing the settings.

pub mod admin;
pub mod api;
pub mod client;
pub mod join;

pub use join::Membership;
