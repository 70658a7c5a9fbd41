//! Identities: random 64-bit numbers, made once and never reused.

use std::fmt;

/// A member's identity: random, made with its data directory, never zero.
///
/// The name is what people see; the id is what votes. A directory that was lost comes back as another id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(u64);

/// The identity of a cluster, made by the member that founds it, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId(u64);

macro_rules! id {
    ($name:ident) => {
        impl $name {
            /// The id with this number; none for zero, which Raft and the file formats use for "nobody".
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
