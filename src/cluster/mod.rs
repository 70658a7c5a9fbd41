//! Who the members are, and the rules about who may join or leave. Pure: no IO, no clock.

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
pub use admission::{Admission, ClusterState, admit};
pub use id::{ClusterId, MemberId};
pub use member::Member;
pub use member_list::MemberList;
pub use member_spec::MemberSpec;
pub use quorum::{Liveness, QuorumLoss};
pub use refusal::{JoinAnswer, JoinRequest, Refusal, RefusalKind};
pub use settings::{InvalidSettings, Settings};
