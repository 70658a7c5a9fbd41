//! Who the members are. Pure: no IO, no clock.

pub mod id;
pub mod member;
pub mod roster;

pub use id::{ClusterId, MemberId};
pub use member::Member;
pub use roster::Roster;
