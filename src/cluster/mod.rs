//! Who the members are. Pure: no IO, no clock.

pub mod address;
pub mod admission;
pub mod id;
pub mod member;
pub mod member_list;
pub mod member_spec;
pub mod quorum;
pub mod refusal;
pub mod settings;

pub use address::{Address, InvalidAddress, peer_address};
pub use admission::{Admission, admit};
pub use id::{ClusterId, MemberId};
pub use member::Member;
pub use member_list::MemberList;
pub use member_spec::MemberSpec;
pub use quorum::{Liveness, QuorumLoss};
pub use refusal::{JoinAnswer, JoinError, JoinRequest};
pub use settings::Settings;
