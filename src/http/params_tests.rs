use bytes::Bytes;
use hyper::Method;
use proptest::prelude::*;

use super::*;
use crate::store::{Command, Condition, Content, Interest, Path};

fn ask(method: &Method, form: &str, query: &str) -> Result<Operation, Rejection> {
    let mut params = Params::default();
    params.read(&Bytes::copy_from_slice(form.as_bytes()))?;
    params.read(&Bytes::copy_from_slice(query.as_bytes()))?;
    params.into_operation(method, path())
}

fn path() -> Path {
    Path::parse("/a").expect("a path")
}

fn put(form: &str, query: &str) -> Result<Command, Rejection> {
    let asked = ask(&Method::PUT, form, query)?;
    let Operation::Write(command) = asked else {
        panic!("{asked:?}")
    };
    Ok(command)
}

fn set(value: &'static str, ttl: Option<u64>) -> Command {
    let content = Content::Value(Bytes::from(value));
    Command::Set {
        path: path(),
        content,
        ttl: ttl.map(Duration::from_secs),
    }
}

#[test]
fn the_form_wins_over_the_query_and_the_first_over_the_second() {
    assert_eq!(put("value=body", "value=query"), Ok(set("body", None)));
    assert_eq!(put("", "value=x&value=y"), Ok(set("x", None)));
    assert_eq!(put("value=1&ttl=20", "ttl=10"), Ok(set("1", Some(20))));
}

#[test]
fn separators_and_escapes() {
    assert_eq!(put("value=x&&ttl=60&", ""), Ok(set("x", Some(60))));
    assert_eq!(put("=z&value=w", ""), Ok(set("w", None)));
    assert_eq!(put("Value=x", ""), Ok(set("", None)));
    assert_eq!(put("value", ""), Ok(set("", None)));
    assert_eq!(put("value=a+b%2Bc%20d", ""), Ok(set("a b+c d", None)));
    assert_eq!(put("%76alue=a=b", ""), Ok(set("a=b", None)));
    // A semicolon separates nothing: what comes after it is not lost.
    assert_eq!(put("value=a;b", ""), Ok(set("a;b", None)));
    for bad in ["value=%zz", "value=ok&bad=%", "%4=x", "value=%f"] {
        assert!(matches!(put(bad, ""), Err(Rejection::Form(_))), "{bad}");
        assert!(matches!(put("", bad), Err(Rejection::Form(_))), "{bad}");
    }
}

#[test]
fn times_to_live_are_whole_seconds_within_bounds() {
    for (text, ttl) in [
        ("", None),
        ("0", Some(0)),
        ("+5", Some(5)),
        ("007", Some(7)),
        ("9223372036", Some(TTL_MAX)),
    ] {
        let escaped = text.replace('+', "%2B");
        assert_eq!(
            put(&format!("value=1&ttl={escaped}"), ""),
            Ok(set("1", ttl)),
            "{text}"
        );
    }
    for text in [
        "abc",
        "1.5",
        "1s",
        "%201",
        "-1",
        "9223372037",
        "99999999999999999999",
        "%ff",
        "1e3",
        "0x1",
    ] {
        assert_eq!(
            put(&format!("ttl={text}"), ""),
            Err(Rejection::Ttl("Update")),
            "{text}"
        );
        assert_eq!(
            ask(&Method::POST, &format!("ttl={text}"), ""),
            Err(Rejection::Ttl("Create")),
            "{text}"
        );
        assert!(
            ask(&Method::GET, "", &format!("ttl={text}")).is_ok(),
            "{text}"
        );
    }
}

#[test]
fn flags_are_words_in_any_case() {
    let directory = |ttl| Command::Set {
        path: path(),
        content: Content::Directory,
        ttl,
    };
    assert_eq!(put("dir=TRUE", ""), Ok(directory(None)));
    assert_eq!(put("", "dir=true&dir=false"), Ok(directory(None)));
    assert_eq!(put("", "dir"), Ok(set("", None)));
    for (query, named) in [
        ("dir=yes", "dir"),
        ("prevExist", "prevExist"),
        ("prevExist=maybe", "prevExist"),
        ("dir=1&recursive=1&wait=1&sorted=1", "recursive"),
        ("stream=x&consistent=x", "consistent"),
        ("quorum=truefalse", "quorum"),
        ("refresh=on&ttl=x", "refresh"),
    ] {
        for method in [
            Method::GET,
            Method::PUT,
            Method::POST,
            Method::DELETE,
            Method::HEAD,
        ] {
            assert_eq!(
                ask(&method, "", query),
                Err(Rejection::Flag(named)),
                "{method} {query}"
            );
        }
    }
}

#[test]
fn conditions_decide_what_a_put_is() {
    let condition = |value: Option<&'static str>, index| Condition {
        value: value.map(Bytes::from),
        index,
    };
    let swap = |condition| {
        Ok(Command::CompareAndSwap {
            path: path(),
            condition,
            value: Bytes::from("x"),
            ttl: None,
        })
    };
    assert_eq!(
        put("value=x", "prevValue=y"),
        swap(condition(Some("y"), None))
    );
    assert_eq!(
        put("value=x", "prevIndex=000"),
        swap(condition(None, Some(0)))
    );
    assert_eq!(
        put("value=x", "prevExist=true&prevIndex=7&prevValue=y"),
        swap(condition(Some("y"), Some(7)))
    );
    let content = Content::Value(Bytes::from("x"));
    let create = Command::Create {
        path: path(),
        content,
        ttl: None,
    };
    assert_eq!(
        put("value=x", "prevExist=false&prevIndex=junk&prevValue="),
        Ok(create)
    );
    let update = |value: &'static str, ttl, directory| {
        Ok(Command::Update {
            path: path(),
            value: Some(Bytes::from(value)),
            directory,
            ttl,
        })
    };
    assert_eq!(put("value=x", "prevExist=true"), update("x", None, false));
    assert_eq!(
        put("ttl=3&dir=true", "prevExist=true"),
        update("", Some(Duration::from_secs(3)), true)
    );
    assert_eq!(
        put("value=&dir=true", "prevExist=true"),
        Err(Rejection::ValueOrTtl)
    );
}

#[test]
fn conditions_that_cannot_be_met_are_refused() {
    assert_eq!(
        put("", "prevValue="),
        Err(Rejection::PrevValue("CompareAndSwap"))
    );
    for text in [
        "",
        "abc",
        "-1",
        "%2B1",
        "1.0",
        "0x10",
        "99999999999999999999",
    ] {
        let query = format!("prevIndex={text}");
        assert_eq!(
            put("", &query),
            Err(Rejection::Index("CompareAndSwap")),
            "{text}"
        );
        assert_eq!(
            ask(&Method::DELETE, "", &query),
            Err(Rejection::Index("CompareAndDelete")),
            "{text}"
        );
    }
    assert_eq!(
        ask(&Method::DELETE, "", "prevValue="),
        Err(Rejection::PrevValue("CompareAndDelete"))
    );
}

#[test]
fn a_refresh_takes_a_ttl_and_no_value() {
    let ttl = Some(Duration::from_secs(5));
    let refresh = |condition| {
        Ok(Command::Refresh {
            path: path(),
            condition,
            ttl,
        })
    };
    assert_eq!(put("refresh=true&ttl=5", ""), refresh(Condition::default()));
    assert_eq!(
        put("refresh=true&ttl=5&value=", "prevExist=true"),
        refresh(Condition::default())
    );
    let index = Condition {
        value: None,
        index: Some(4),
    };
    assert_eq!(put("refresh=true&ttl=5", "prevIndex=4"), refresh(index));
    assert_eq!(
        put("refresh=true&ttl=5&value=x", ""),
        Err(Rejection::RefreshValue)
    );
    assert_eq!(put("refresh=true", ""), Err(Rejection::RefreshTtl));
    assert_eq!(put("refresh=false&value=x", ""), Ok(set("x", None)));
}

#[test]
fn reads_and_watches() {
    let read = |recursive, linearizable| {
        Ok(Operation::Read {
            path: path(),
            recursive,
            hidden: false,
            linearizable,
        })
    };
    let get = |query: &str| ask(&Method::GET, "", query);
    assert_eq!(get("recursive=true&sorted=true"), read(true, false));
    assert_eq!(get("quorum=true&wait=true"), read(false, true));
    assert_eq!(get("consistent=true"), read(false, true));
    assert_eq!(
        get("hidden=TRUE"),
        Ok(Operation::Read {
            path: path(),
            recursive: false,
            hidden: true,
            linearizable: false,
        })
    );
    assert_eq!(get("hidden=x"), Err(Rejection::Flag("hidden")));
    assert_eq!(get("stream=true&waitIndex=junk"), read(false, false));
    let watch = |recursive, stream, since, linearizable| {
        let interest = Interest {
            path: path(),
            recursive,
        };
        Ok(Operation::Watch {
            interest,
            stream,
            since,
            linearizable,
        })
    };
    assert_eq!(get("wait=TRUE"), watch(false, false, None, false));
    assert_eq!(
        get("wait=true&waitIndex="),
        watch(false, false, None, false)
    );
    assert_eq!(
        get("wait=true&waitIndex=0"),
        watch(false, false, None, false)
    );
    assert_eq!(
        get("wait=true&waitIndex=18446744073709551615"),
        watch(false, false, Some(u64::MAX), false)
    );
    assert_eq!(
        get("wait=true&stream=true&recursive=true&consistent=true"),
        watch(true, true, None, true)
    );
    for text in ["abc", "-1", "1.5", "18446744073709551616", "%201", "%2B1"] {
        let refused = get(&format!("wait=true&waitIndex={text}"));
        assert_eq!(refused, Err(Rejection::Index("Watch From Index")), "{text}");
    }
}

#[test]
fn what_has_no_escapes_is_not_copied() {
    let body = Bytes::from_static(b"value=0123456789");
    let mut params = Params::default();
    params.read(&body).expect("a form");
    let Ok(Operation::Write(Command::Set {
        content: Content::Value(value),
        ..
    })) = params.into_operation(&Method::PUT, path())
    else {
        panic!("no value")
    };
    assert_eq!(value.as_ptr(), body[6..].as_ptr());
}

proptest! {
    #[test]
    fn nothing_panics(form: Vec<u8>, query: String, method in 0..5_usize) {
        let methods = [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::HEAD];
        let mut params = Params::default();
        if params.read(&Bytes::from(form)).is_ok() && params.read(&Bytes::from(query)).is_ok() {
            let _ = params.into_operation(&methods[method], path());
        }
    }

    #[test]
    fn likely_parameters_do_not_panic(form in "((value|ttl|dir|prevExist|prevIndex|wait|refresh)=(true|[0-9%+-]{0,21})&){0,4}") {
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE] {
            let _ = ask(&method, &form, "");
        }
    }

    #[test]
    fn any_value_comes_through(value: Vec<u8>) {
        let form: String = form_urlencoded::byte_serialize(&value).collect();
        let content = Content::Value(Bytes::from(value));
        let wanted = Command::Set { path: path(), content, ttl: None };
        prop_assert_eq!(put(&format!("value={form}"), ""), Ok(wanted));
    }
}
