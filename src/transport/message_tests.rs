use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn any_bytes(bytes_max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..bytes_max).prop_map(Bytes::from)
}

fn any_mark() -> impl Strategy<Value = SnapshotMeta> {
    let ids = || vec(any::<u64>(), 0..4);
    let configuration = (ids(), ids(), ids(), ids(), any::<bool>());
    (any::<u64>(), any::<u64>(), configuration).prop_map(|(index, term, of)| SnapshotMeta {
        index,
        term,
        configuration: Configuration {
            voters: of.0,
            learners: of.1,
            voters_outgoing: of.2,
            learners_next: of.3,
            auto_leave: of.4,
        },
    })
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let size = prop_oneof![4 => 0..200usize, 1 => 16_000..60_000usize];
    let data = (any::<u8>(), size).prop_map(|(byte, bytes)| vec![byte; bytes].into());
    let kind = prop_oneof![Just(EntryKind::Command), Just(EntryKind::Membership)];
    (any::<u64>(), any::<u64>(), kind, data).prop_map(|(index, term, kind, data)| Entry {
        index,
        term,
        kind,
        data,
    })
}

/// Any message that a member may send.
fn any_raft() -> impl Strategy<Value = RaftMessage> {
    let kind = (0..KINDS.len()).prop_map(|at| KINDS[at].0);
    (
        kind,
        any::<[u64; 5]>(),
        1..u64::MAX / 2,
        vec(any_entry(), 0..5),
        any::<bool>(),
        any_bytes(40),
        any_mark(),
        any::<Option<u64>>(),
    )
        .prop_map(
            |(kind, numbers, index, mut entries, reject, context, meta, clock)| {
                let [term, commit, commit_term, reject_hint, request_snapshot] = numbers;
                let mut log_term = numbers[1];
                if kind == RaftKind::Append {
                    log_term = log_term.min(term);
                    for (entry, at) in entries.iter_mut().zip(index + 1..) {
                        entry.index = at;
                        entry.term = log_term;
                    }
                }
                RaftMessage {
                    kind,
                    term,
                    log_term,
                    index,
                    entries,
                    commit,
                    commit_term,
                    reject,
                    reject_hint,
                    request_snapshot,
                    context,
                    snapshot: (kind == RaftKind::Snapshot).then_some(meta),
                    clock: clock.map(ClusterTime::from_nanos),
                }
            },
        )
}

fn any_forwarded() -> impl Strategy<Value = Forwarded> {
    (1..u64::MAX, any::<u64>(), any_bytes(100)).prop_map(|(member, sequence, command)| Forwarded {
        id: CommandId {
            member: MemberId::new(member).expect("not zero"),
            sequence,
        },
        command,
    })
}

pub(in crate::transport) fn any_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        4 => any_raft().prop_map(Body::Raft),
        1 => vec(any_forwarded(), 0..5).prop_map(Body::Forward),
        1 => any::<(u64, u64)>().prop_map(|(index, hash)| Body::StoreHash { index, hash }),
    ]
}

fn bytes_of(body: &Body) -> BytesMut {
    let mut out = BytesMut::new();
    match body {
        Body::Raft(raft) => put_raft(raft, &mut out),
        Body::Forward(list) => put_forward(list, &mut out),
        Body::StoreHash { index, hash } => put_store_hash(*index, *hash, &mut out),
    }
    out
}

#[test]
fn every_kind_has_its_number() {
    for (kind, number) in KINDS {
        assert_eq!(kind_number(kind), number);
        assert_eq!(kind_of(number), Ok(kind));
    }
    // A new kind has to be added here and to the table.
    let all = |kind| match kind {
        RaftKind::Append
        | RaftKind::AppendResponse
        | RaftKind::Vote
        | RaftKind::VoteResponse
        | RaftKind::Snapshot
        | RaftKind::Heartbeat
        | RaftKind::HeartbeatResponse
        | RaftKind::TransferLeader
        | RaftKind::TimeoutNow
        | RaftKind::ReadIndex
        | RaftKind::ReadIndexResponse
        | RaftKind::PreVote
        | RaftKind::PreVoteResponse => 13,
    };
    assert_eq!(all(RaftKind::Append), KINDS.len());
    assert!(kind_of(0).is_err());
    assert!(kind_of(14).is_err());
}

#[test]
fn a_large_value_is_not_copied_and_a_small_one_is() {
    for (bytes, stays) in [(1 << 20, true), (100, false)] {
        let body = super::super::tests::append(5, bytes);
        let frame = bytes_of(&body).freeze();
        let range = frame.as_ptr_range();
        let Ok(Some(Body::Raft(read))) = read(Kind::Raft, frame) else {
            panic!("unreadable");
        };
        assert_eq!(range.contains(&read.entries[0].data.as_ptr()), stays);
    }
}

#[test]
fn messages_at_which_raft_would_panic_are_refused() {
    let Body::Raft(good) = super::super::tests::append(5, 10) else {
        panic!("no append");
    };
    let refused = |change: &dyn Fn(&mut RaftMessage)| {
        let mut message = good.clone();
        change(&mut message);
        let bytes = bytes_of(&Body::Raft(message)).freeze();
        assert!(matches!(
            read(Kind::Raft, bytes),
            Err(Malformed::Impossible(_))
        ));
    };
    refused(&|m| m.index = 7);
    refused(&|m| m.entries[0].index = 0);
    refused(&|m| m.entries[0].term = 2);
    refused(&|m| m.log_term = 2);
    refused(&|m| m.kind = RaftKind::Snapshot);
    refused(&|m| m.snapshot = Some(SnapshotMeta::default()));
    refused(&|m| {
        m.index = u64::MAX;
        m.entries[0].index = 0;
    });
}

#[test]
fn a_count_is_checked_before_it_is_used() {
    let mut bytes = bytes_of(&super::super::tests::heartbeat(1));
    let count = bytes.len() - 4;
    bytes[count..].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(read(Kind::Raft, bytes.freeze()), Err(Malformed::Short));
    let list = u32::MAX.to_le_bytes().to_vec();
    assert_eq!(read(Kind::Forward, list.into()), Err(Malformed::Short));
}

proptest! {
    #[test]
    fn there_and_back(body in any_body()) {
        let bytes = bytes_of(&body);
        prop_assert!(bytes.len() <= weight(&body) + 512);
        prop_assert_eq!(read(kind(&body), bytes.freeze()), Ok(Some(body)));
    }

    #[test]
    fn cut_off(body in any_body(), part in 0.0..1.0f64) {
        let bytes = bytes_of(&body).freeze();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the length")]
        let cut = (bytes.len() as f64 * part) as usize;
        prop_assert_eq!(read(kind(&body), bytes.slice(..cut)), Err(Malformed::Short));
        let mut longer = BytesMut::from(&bytes[..]);
        longer.put_u8(0);
        prop_assert!(read(kind(&body), longer.freeze()).is_err());
    }

    /// Even without the checksum nothing panics, and a message that is read has exactly these bytes.
    #[test]
    fn mutated(body in any_body(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = bytes_of(&body);
        // The first bytes of a message matter more than the content of values.
        let length = bytes.len().min(300);
        for (at, byte) in changes {
            bytes[at.index(length)] = byte;
        }
        if let Ok(Some(read)) = read(kind(&body), bytes.clone().freeze()) {
            prop_assert_eq!(bytes_of(&read), bytes);
        }
    }

    #[test]
    fn noise(bytes in vec(any::<u8>(), 0..300)) {
        for kind in [Kind::Raft, Kind::Forward, Kind::StoreHash, Kind::Ping] {
            let _ = read(kind, bytes.clone().into());
        }
    }
}
