//! The paths of the peer port, and the JSON of the pages for members.

use proptest::prelude::*;

use super::*;

fn member() -> Member {
    Member {
        id: MemberId::new(0xfeed).expect("not zero"),
        name: "ein Döner".to_owned(),
        client_url: "http://[::1]:4001".to_owned(),
        peer_url: "http://[::1]:7001".to_owned(),
    }
}

fn request() -> JoinRequest {
    JoinRequest {
        member: member(),
        cluster: ClusterId::new(7),
    }
}

fn member_list() -> MemberList {
    MemberList {
        cluster: ClusterId::new(9).expect("not zero"),
        members: vec![member()],
        leader: Some(member().id),
        settings: Settings::parse(b"{\"activeSize\":3,\"syncInterval\":1.25}"),
    }
}

#[test]
fn every_page_has_one_path() {
    for page in [
        MemberPage::Join,
        MemberPage::MemberList,
        MemberPage::Messages,
        MemberPage::Snapshot,
    ] {
        let parsed = PeerPage::parse(page.path());
        assert_eq!(parsed, Some(PeerPage::ForMembers(page)));
    }
    for (path, page) in [
        ("/oxetcd/peer", PeerPage::ForMembers(MemberPage::Messages)),
        ("/oxetcd/other", PeerPage::ForMembers(MemberPage::Messages)),
        ("/v2/admin/config", PeerPage::Settings),
        ("/v2/admin/machines", PeerPage::Members),
        ("/v2/admin/machines/a b", PeerPage::Member("a b")),
        ("/remove/a b", PeerPage::Remove("a b")),
        ("/version/2/check", PeerPage::VersionCheck("2")),
    ] {
        assert_eq!(PeerPage::parse(path), Some(page), "{path}");
    }
    for path in [
        "/",
        "/v2/admin",
        "/v2/admin/",
        "/v2/admin/machines/",
        "/v2/admin/machines/a/b",
        "/v2/admin/none",
        "/remove/",
        "/version/check",
        "/version//check",
        "/version/2",
        "/v2/keys/",
        "/v2/leader",
        "/v2/members",
        "/oxetcd",
    ] {
        assert_eq!(PeerPage::parse(path), None, "{path}");
    }
    assert_eq!(PeerPage::member_path("a b"), "/v2/admin/machines/a%20b");
}

#[test]
fn every_kind_of_refusal_has_a_status_of_its_own() {
    for status in 100..600 {
        if let Some(kind) = from_status(status) {
            assert_eq!(to_status(kind), status);
        }
    }
    assert_eq!(from_status(403), Some(RefusalKind::Full));
    assert_eq!(from_status(200), None);
}

#[test]
fn requests_and_answers_round_trip() {
    let request = request();
    let body = encode_join_request(&request);
    assert_eq!(decode_join_request(&body), Ok(request.clone()));
    let without_cluster = JoinRequest {
        cluster: None,
        ..request.clone()
    };
    let body = encode_join_request(&without_cluster);
    assert_eq!(decode_join_request(&body), Ok(without_cluster));

    let answer = JoinAnswer {
        cluster: ClusterId::new(7).expect("not zero"),
        members: vec![request.member.clone()],
    };
    let body = encode_join_answer(&answer);
    assert_eq!(decode_join_answer(&body, request.member.id), Ok(answer));
    let other = MemberId::new(1).expect("not zero");
    let not_listed = decode_join_answer(&body, other);
    assert_eq!(not_listed, Err(Malformed::NotListed));
}

#[test]
fn refusals_keep_what_the_client_needs() {
    let decoded = |refusal: &Refusal| {
        let status = to_status(refusal.kind());
        decode_refusal(status, &encode_refusal(refusal)).expect("ours")
    };
    for refusal in [
        Refusal::Removed,
        Refusal::Full(Box::new(member_list())),
        Refusal::NotLeader {
            leader: Some("http://10.0.0.1:7001".to_owned()),
        },
    ] {
        assert_eq!(decoded(&refusal), refusal);
    }
    for refusal in [
        Refusal::NameTaken {
            name: "a".to_owned(),
            holder: member().id,
        },
        Refusal::NotLeader { leader: None },
        Refusal::Busy,
        Refusal::Invalid("no".to_owned()),
    ] {
        let reported = Refusal::Reported {
            kind: refusal.kind(),
            message: refusal.to_string(),
        };
        assert_eq!(decoded(&refusal), reported);
    }
    assert_eq!(decode_refusal(409, b"<html>"), None);
}

#[test]
fn refusals_are_written_byte_for_byte() {
    let list = "{\"oxetcd\":1,\"cluster\":\"0000000000000009\",\"members\":[{\"id\":\"000000000000feed\",\
        \"name\":\"ein Döner\",\"client_url\":\"http://[::1]:4001\",\"peer_url\":\"http://[::1]:7001\"}],\
        \"leader\":\"000000000000feed\",\
        \"settings\":{\"activeSize\":3,\"removeDelay\":1800,\"syncInterval\":1.25}}";
    let shown = String::from_utf8(encode_member_list(&member_list())).expect("text");
    let json: Value = serde_json::from_str(list).expect("JSON");
    let shown_json: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown_json, json);
    let leader = Some("http://a:7001".to_owned());
    let refusal = encode_refusal(&Refusal::NotLeader { leader });
    assert_eq!(
        String::from_utf8_lossy(&refusal),
        "{\"oxetcd\":1,\"message\":\"not the leader, which is at http://a:7001\",\
         \"leader\":\"http://a:7001\"}\n"
    );
}

#[test]
fn administration_pages_are_read_back() {
    let error =
        br#"{"errorCode":300,"message":"Raft Internal Error","cause":"no\u0007","index":1}"#;
    let reported = Refusal::Reported {
        kind: RefusalKind::Conflict,
        message: "no".to_owned(),
    };
    assert_eq!(decode_admin_refusal(409, error), reported);
    assert_eq!(decode_admin_refusal(404, error), Refusal::UnknownMember);
    let unavailable = Refusal::Unavailable("no".to_owned());
    assert_eq!(decode_admin_refusal(503, error), unavailable);
    let other = decode_admin_refusal(500, b"<html>").to_string();
    assert_eq!(other, "unexpected answer with status 500");
}

#[test]
fn the_version_is_checked_first() {
    let refusal = decode_join_request(br#"{"oxetcd":9,"what":"ever"}"#).expect_err("refused");
    assert_eq!(refusal, Refusal::Version { ours: 1, theirs: 9 });
}

#[test]
fn invalid_requests_are_refused() {
    let good = String::from_utf8(encode_join_request(&request())).expect("text");
    for (from, to) in [
        ("ein Döner", "a/b"),
        ("ein Döner", ""),
        ("ein Döner", "a\\nb"),
        ("ein Döner", "."),
        ("ein Döner", ".."),
        ("ein Döner", &"n".repeat(251)),
        ("000000000000feed", "0000000000000000"),
        ("000000000000feed", "+00000000000feed"),
        ("000000000000feed", "feed"),
        ("http://[::1]:7001", "nowhere at all"),
        ("http://[::1]:4001", "localhost:4001"),
        ("http://[::1]:4001", "http://"),
        ("http://[::1]:4001", "http://a:99999"),
        ("\"member\"", "\"number\""),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replace(from, to);
        let refusal = decode_join_request(bad.as_bytes()).expect_err(&bad);
        assert!(matches!(refusal, Refusal::Invalid(_)), "{refusal:?}");
    }
}

#[test]
fn member_lists_round_trip() {
    let list = member_list();
    let json = encode_member_list(&list);
    assert_eq!(decode_member_list(&json), Ok(list.clone()));
    let leaderless = MemberList {
        leader: None,
        ..list
    };
    let json = encode_member_list(&leaderless);
    assert_eq!(decode_member_list(&json), Ok(leaderless));
}

#[test]
fn invalid_member_lists_are_refused() {
    let json = String::from_utf8(encode_member_list(&member_list())).expect("text");
    for (from, to) in [
        ("1.25", "\"x\""),
        ("\"oxetcd\":1", "\"oxetcd\":2"),
        ("0000000000000009", "9"),
        ("http://[::1]:7001", "nowhere at all"),
    ] {
        assert!(json.contains(from), "{from}");
        let bad = json.replace(from, to);
        assert!(decode_member_list(bad.as_bytes()).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200), status: u16) {
        let _ = decode_join_request(&body);
        let _ = decode_refusal(status, &body);
        let _ = decode_admin_refusal(status, &body);
        let _ = decode_join_answer(&body, member().id);
        let _ = decode_member_list(&body);
    }
}
