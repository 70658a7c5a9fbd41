//! What each page of the service answers.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use tracing::{debug, info, warn};

use super::TOKEN_TTL;
use super::registry::{Access, Trouble};
use super::route::{self, Page, REGISTRY};
use crate::http::{Body, ServicePages};
use crate::wal::random_number;

/// A token that a machine registers with is renewed if it has lost more than this of its life.
const RENEW_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What `/` shows; `BASE` stands for the beginning of all URLs.
const WELCOME: &str = include_str!("welcome.html");

/// What robots are asked: to stay away.
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The page at `/` runs nothing and loads nothing.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
);

/// The pages of a service whose URLs begin with `base_url`.
pub(super) fn pages(base_url: String, access: Access) -> ServicePages {
    let base_url: Arc<str> = base_url.into();
    Arc::new(move |request| {
        let (base_url, access) = (base_url.clone(), access.clone());
        Box::pin(async move {
            answer(&base_url, &access, request)
                .await
                .unwrap_or_else(|trouble| {
                    warn!("the registry is of no help: {trouble}");
                    let why = format!("the registry is of no help just now: {trouble}\n");
                    let mut reply = text(StatusCode::SERVICE_UNAVAILABLE, why);
                    let headers = reply.headers_mut();
                    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
                    reply
                })
        })
    })
}

async fn answer(
    base_url: &str,
    access: &Access,
    request: Request<Incoming>,
) -> Result<Response<Body>, Trouble> {
    let Ok(path) = crate::http::clean(request.uri().path()) else {
        let why = "the path has a bad escape in it\n";
        return Ok(text(StatusCode::BAD_REQUEST, why.to_owned()));
    };
    let path = path.into_owned();
    let Some(page) = route::page(&path) else {
        return Ok(not_found(&path));
    };
    if let Some(allow) = page.refuses(request.method()) {
        let mut reply = text(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("allowed: {allow}\n"),
        );
        reply
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(allow));
        return Ok(reply);
    }
    match page {
        Page::Welcome => Ok(welcome(base_url)),
        Page::Robots => Ok(text(StatusCode::OK, ROBOTS.to_owned())),
        Page::Health => {
            access.check().await?;
            Ok(text(StatusCode::OK, "OK".to_owned()))
        }
        Page::New => make(base_url, access, request.uri().query()).await,
        Page::Token { token, key } => of_token(access, token, key, request).await,
    }
}

fn welcome(base_url: &str) -> Response<Body> {
    let mut reply = text(StatusCode::OK, WELCOME.replace("BASE", &escape(base_url)));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HTML);
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    reply
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

/// A new token.
async fn make(
    base_url: &str,
    access: &Access,
    query: Option<&str>,
) -> Result<Response<Body>, Trouble> {
    let size = match size(query) {
        Ok(size) => size,
        Err(why) => return Ok(text(StatusCode::BAD_REQUEST, why)),
    };
    let number = || random_number().map_err(|error| Trouble::new(&error));
    let token = format!("{:016x}{:016x}", number()?, number()?);
    access.make(&token, size).await?;
    info!("made the token {token}");
    Ok(text(StatusCode::OK, format!("{base_url}/{token}")))
}

/// The size that a query string asks for; none if it says nothing about it.
fn size(query: Option<&str>) -> Result<Option<u32>, String> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut sizes = pairs.filter(|(name, value)| name == "size" && !value.is_empty());
    let Some((_, text)) = sizes.next() else {
        return Ok(None);
    };
    // `parse` would take a plus sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(size) if digits && size > 0 => Ok(Some(size)),
        _ => Err("size must be a whole number above zero, such as /new?size=3\n".to_owned()),
    }
}

/// A token's directory, or a key in it, as the keys API has it.
async fn of_token(
    access: &Access,
    token: &str,
    key: Option<&str>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Trouble> {
    let Some(life) = access.life(token).await? else {
        return Ok(unknown(token));
    };
    let registers = *request.method() == Method::PUT;
    let reply = access.pass(token, key.unwrap_or_default(), request).await?;
    if registers && reply.status().is_success() {
        debug!("{} is registered with {token}", key.unwrap_or_default());
        if life < TOKEN_TTL.saturating_sub(RENEW_AFTER)
            && let Err(trouble) = access.renew(token).await
        {
            // What was asked for is done; the next machine renews it.
            warn!("the token {token} could not be renewed: {trouble}");
        }
    }
    Ok(reply)
}

/// As the keys API says that there is no such key.
fn unknown(token: &str) -> Response<Body> {
    let body = format!(
        "{{\"errorCode\":100,\"message\":\"Key not found\",\"cause\":\"{REGISTRY}/{token}\",\"index\":0}}\n"
    );
    let mut reply = text(StatusCode::NOT_FOUND, body);
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    reply
}

/// There is no page; what has the place of a token is answered as one that is unknown.
fn not_found(path: &str) -> Response<Body> {
    let plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match path.trim_start_matches('/').split('/').next() {
        Some(token) if !token.is_empty() && plain(token) => unknown(token),
        _ => text(StatusCode::NOT_FOUND, "there is no such page\n".to_owned()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Body> {
    let mut reply = Response::new(Body::whole(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, TEXT);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (query, expected) in [
            (None, Some(None)),
            (Some(""), Some(None)),
            (Some("size="), Some(None)),
            (Some("other=x"), Some(None)),
            (Some("size=3"), Some(Some(3))),
            (Some("a=b&size=12"), Some(Some(12))),
            (Some("size=0"), None),
            (Some("size=-1"), None),
            (Some("size=%2B3"), None),
            (Some("size=three"), None),
            (Some("size=99999999999"), None),
        ] {
            assert_eq!(size(query).ok(), expected, "{query:?}");
        }
    }

    #[test]
    fn what_is_shown_is_escaped() {
        assert_eq!(escape("http://x/\"<&"), "http://x/&quot;&lt;&amp;");
        assert!(WELCOME.contains("BASE/new"));
    }
}
