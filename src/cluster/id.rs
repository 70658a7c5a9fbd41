//! Identities: random 64-bit numbers, made once and never reused.

use std::fmt;

/// A member's identity: random, made with its data directory, never zero.
///
/// Operators use the name; Raft uses the id. A member whose directory was lost comes back with another id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(u64);

/// The identity of a cluster, made by its first member, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId(u64);

macro_rules! id {
    ($name:ident) => {
        impl $name {
            /// The id with this number; none for zero, which Raft and the file formats use for "none".
            pub fn new(number: u64) -> Option<Self> {
                (number != 0).then_some(Self(number))
            }

            /// The number, as it is written to disk and sent to peers.
            pub fn get(self) -> u64 {
                self.0
            }
        }

        /// Sixteen hex digits, as logs and error messages show it.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(MemberId);
id!(ClusterId);
