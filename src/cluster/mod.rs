//! Who the members are. Pure: no IO, no clock.

pub mod id;
pub mod member;
pub mod roster;
pub mod rules;
pub mod settings;

pub use id::{ClusterId, MemberId};
pub use member::Member;
pub use roster::Roster;
pub use rules::{Census, Stranding};
pub use settings::Settings;
