use proptest::prelude::*;

use super::super::message::tests::any_body;
use super::*;
use crate::store::CommandId;

fn link(connection: u64) -> Link {
    Link {
        cluster: ClusterId::new(7).expect("not zero"),
        from: MemberId::new(1).expect("not zero"),
        to: MemberId::new(2).expect("not zero"),
        connection,
    }
}

fn frames(link: Link, bodies: &[Body]) -> BytesMut {
    let (mut writer, mut out) = (FrameWriter::new(link), BytesMut::new());
    for body in bodies {
        writer.put_message(body, &mut out).expect("small enough");
    }
    out
}

/// All messages up to the first error or incomplete frame.
fn read_all(link: Link, mut bytes: BytesMut) -> (Vec<Message>, Option<FrameError>) {
    let (mut reader, mut messages) = (FrameReader::new(link), Vec::new());
    loop {
        match reader.take(&mut bytes) {
            Ok(Some(frame)) => match frame.message(link) {
                Ok(message) => messages.extend(message),
                Err(malformed) => return (messages, Some(malformed.into())),
            },
            Ok(None) => return (messages, None),
            Err(error) => return (messages, Some(error)),
        }
    }
}

fn hash(index: u64) -> Body {
    Body::StoreHash { index, hash: 1 }
}

#[test]
fn frames_of_another_connection_are_errors() {
    let error = |other: Link| read_all(link(5), frames(other, &[hash(1)])).1;
    assert_eq!(error(link(5)), None);
    // A frame that was recorded on another connection.
    assert_eq!(error(link(6)), Some(FrameError::Checksum));
    let cluster = ClusterId::new(8).expect("not zero");
    let foreign = Link { cluster, ..link(5) };
    assert_eq!(error(foreign), Some(FrameError::Cluster(8)));
    let backwards = link(5).reversed();
    assert_eq!(error(backwards), Some(FrameError::Members(2, 1)));
}

#[test]
fn a_replayed_frame_ends_the_connection() {
    let mut bytes = frames(link(5), &[hash(1)]);
    let again = bytes.clone();
    bytes.extend_from_slice(&again);
    let (messages, error) = read_all(link(5), bytes);
    assert_eq!(messages.len(), 1);
    assert_eq!(error, Some(FrameError::Sequence(0, 1)));
}

#[test]
fn a_length_is_checked_before_it_is_used() {
    let mut reader = FrameReader::new(link(5));
    let mut bytes = BytesMut::from(&u32::MAX.to_le_bytes()[..]);
    bytes.put_u32_le(0);
    let length = FrameError::Length(u32::MAX as usize);
    assert_eq!(reader.take(&mut bytes), Err(length));

    let mut bytes = BytesMut::new();
    bytes.put_u32_le(u32::try_from(FRAME_BYTES_MAX).expect("fits"));
    bytes.put_u32_le(0);
    assert_eq!(reader.take(&mut bytes), Ok(None));
    assert!(bytes.capacity() <= 2 * READ_STEP, "{}", bytes.capacity());

    let mut bytes = BytesMut::new();
    bytes.put_u64_le(3);
    assert_eq!(reader.take(&mut bytes), Err(FrameError::Length(3)));
}

#[test]
fn a_message_that_is_too_large_is_not_written() {
    let small = super::super::tests::append(1, 10);
    let large = super::super::tests::append(2, FRAME_BYTES_MAX);
    let (mut writer, mut out) = (FrameWriter::new(link(5)), BytesMut::new());
    assert!(writer.put_message(&small, &mut out).is_ok());
    let TooLarge(bytes) = writer.put_message(&large, &mut out).expect_err("too large");
    assert!(bytes > FRAME_BYTES_MAX);
    assert!(writer.put_message(&small, &mut out).is_ok());
    let (messages, error) = read_all(link(5), out);
    assert_eq!((messages.len(), error), (2, None));
}

#[test]
fn many_forwarded_commands_take_several_frames() {
    let forwarded = |sequence, bytes: usize| Forwarded {
        id: CommandId {
            member: MemberId::new(1).expect("not zero"),
            sequence,
        },
        command: vec![0; bytes].into(),
    };
    let list: Vec<_> = [3 << 20, 3 << 20, 9 << 20, 1, 1]
        .into_iter()
        .zip(0..)
        .map(|(bytes, sequence)| forwarded(sequence, bytes))
        .collect();
    let (messages, error) = read_all(link(5), frames(link(5), &[Body::Forward(list.clone())]));
    assert_eq!((messages.len(), error), (4, None));
    let received = messages.into_iter().flat_map(|message| match message.body {
        Body::Forward(part) => part,
        Body::Raft(_) | Body::StoreHash { .. } => Vec::new(),
    });
    assert_eq!(received.collect::<Vec<_>>(), list);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn in_pieces(bodies in prop::collection::vec(any_body(), 0..5), piece in 1..3000usize) {
        let bytes = frames(link(5), &bodies);
        let (mut reader, mut buffer) = (FrameReader::new(link(5)), BytesMut::new());
        let mut messages = Vec::new();
        for part in bytes.chunks(piece) {
            buffer.extend_from_slice(part);
            while let Some(frame) = reader.take(&mut buffer).expect("good frames") {
                messages.extend(frame.message(link(5)).expect("a good message"));
            }
        }
        let bodies_read: Vec<_> = messages.into_iter().map(|message| message.body).collect();
        let empty = |body: &Body| matches!(body, Body::Forward(list) if list.is_empty());
        let bodies: Vec<_> = bodies.into_iter().filter(|body| !empty(body)).collect();
        prop_assert_eq!(bodies_read, bodies);
    }

    /// With one changed byte anywhere, no message is read that was not sent.
    #[test]
    fn damaged(
        bodies in prop::collection::vec(any_body(), 1..4),
        at in any::<prop::sample::Index>(),
        bits in 1..=255u8,
    ) {
        let good = frames(link(5), &bodies);
        prop_assume!(!good.is_empty());
        let (sent, _) = read_all(link(5), good.clone());
        let mut bytes = good;
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        let (messages, _) = read_all(link(5), bytes);
        prop_assert!(messages.len() < sent.len());
        prop_assert_eq!(&messages[..], &sent[..messages.len()]);
    }

    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let (messages, _) = read_all(link(5), BytesMut::from(&bytes[..]));
        prop_assert!(messages.is_empty());
    }
}
