//! Who the members are, how the cluster is set, and the rules of membership. Pure: no IO, no clock.

pub mod id;
pub mod member;
pub mod rules;
pub mod settings;

pub use id::{ClusterId, MemberId};
pub use member::Member;
pub use rules::{Census, Stranding};
pub use settings::Settings;
