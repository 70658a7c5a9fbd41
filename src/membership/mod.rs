//! Membership of a cluster over the network: joining it, leaving it and listing its members.
//!
//! - [`api`]: the pages of the peer port, their JSON and the status of each refusal.
//! - [`client`]: what a member or a standby asks others: to join, to change the membership, and for the member list.
//! - [`join`]: the server side of joining.
//! - [`admin`]: removing members and changing the settings.

pub mod admin;
pub mod api;
pub mod client;
pub mod join;

pub use admin::Administration;
pub use join::Membership;
