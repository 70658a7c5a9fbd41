//! The kinds of frames.

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A question whether the peer is alive.
    Ping,
    /// The answer to [`Kind::Ping`].
    Pong,
    /// A message of the Raft protocol.
    Raft,
    /// Commands for the leader.
    Forward,
    /// The hash of a store.
    StoreHash,
    /// A chunk of a snapshot.
    Chunk,
    /// The end of a snapshot, with its length.
    End,
    /// The snapshot is on the receiver's disk.
    Stored,
    /// The receiver could not store the snapshot; the body is the reason.
    Failed,
}

const KINDS: [Kind; 9] = [
    Kind::Ping,
    Kind::Pong,
    Kind::Raft,
    Kind::Forward,
    Kind::StoreHash,
    Kind::Chunk,
    Kind::End,
    Kind::Stored,
    Kind::Failed,
];

impl Kind {
    /// The number of the kind in a frame.
    pub(super) fn to_number(self) -> u8 {
        match self {
            Self::Ping => 1,
            Self::Pong => 2,
            Self::Raft => 3,
            Self::Forward => 4,
            Self::StoreHash => 5,
            Self::Chunk => 6,
            Self::End => 7,
            Self::Stored => 8,
            Self::Failed => 9,
        }
    }

    /// The kind with this number.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.to_number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_number() {
        for kind in KINDS {
            assert_eq!(Kind::from_number(kind.to_number()), Some(kind));
        }
        assert_eq!(Kind::from_number(0), None);
        assert_eq!(Kind::from_number(10), None);
    }
}
