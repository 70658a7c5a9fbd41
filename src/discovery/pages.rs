//! The response of each page.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request};
use tracing::{debug, info, warn};

use super::TOKEN_TTL;
use super::backend::{BackendError, BackendHandle};
use super::reply::{self, Reply};
use super::route::{self, Page, REGISTRY};
use crate::http::ServicePages;
use crate::wal::random_number;

/// A registration renews its token if the token has lost more than this of its time to live.
const RENEW_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The page at `/`; `BASE` is replaced by the base of token URLs.
const WELCOME: &str = include_str!("welcome.html");

/// The rules for web crawlers: none is allowed.
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// The pages of a service whose token URLs start with `base_url`.
pub(super) fn pages(base_url: String, backend: BackendHandle) -> ServicePages {
    let base_url: Arc<str> = base_url.into();
    Arc::new(move |request| {
        let (base_url, backend) = (base_url.clone(), backend.clone());
        Box::pin(async move {
            match answer(&base_url, &backend, request).await {
                Ok(reply) => reply,
                Err(error) => {
                    warn!("token backend unavailable: {error}");
                    reply::unavailable(format!("token backend unavailable: {error}\n"))
                }
            }
        })
    })
}

async fn answer(
    base_url: &str,
    backend: &BackendHandle,
    request: Request<Incoming>,
) -> Result<Reply, BackendError> {
    let Ok(path) = crate::http::clean(request.uri().path()) else {
        return Ok(reply::bad_request("the path has an invalid escape\n"));
    };
    let path = path.into_owned();
    let Some(page) = route::page(&path) else {
        return Ok(not_found(&path));
    };
    if let Some(allow) = page.not_allowed(request.method()) {
        return Ok(reply::not_allowed(allow));
    }
    match page {
        Page::Welcome => {
            let html = WELCOME.replace("BASE", &escape_html(base_url));
            Ok(reply::html(html))
        }
        Page::Robots => Ok(reply::text(ROBOTS)),
        Page::Health => {
            backend.check().await?;
            Ok(reply::text("OK"))
        }
        Page::New => create_token(base_url, backend, request.uri().query()).await,
        Page::Token { token, key } => answer_token(backend, token, key, request).await,
    }
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

async fn create_token(
    base_url: &str,
    backend: &BackendHandle,
    query: Option<&str>,
) -> Result<Reply, BackendError> {
    let Ok(size) = parse_size(query) else {
        let why = "size must be an integer above zero, as in /new?size=3\n";
        return Ok(reply::bad_request(why));
    };
    let token = format!("{:016x}{:016x}", random_number()?, random_number()?);
    backend.create_token(&token, size).await?;
    info!(token, "token created");
    Ok(reply::text(format!("{base_url}/{token}")))
}

/// The size in a query string is not an integer above zero.
#[derive(Debug)]
struct InvalidSize;

/// The cluster size in a query string; none if it is not given.
fn parse_size(query: Option<&str>) -> Result<Option<u32>, InvalidSize> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut sizes = pairs.filter(|(name, value)| name == "size" && !value.is_empty());
    let Some((_, text)) = sizes.next() else {
        return Ok(None);
    };
    // `parse` accepts a plus sign.
    let has_only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(size) if has_only_digits && size > 0 => Ok(Some(size)),
        _ => Err(InvalidSize),
    }
}

/// Answer a request for the directory of a token, or for a key in it, as the keys API does.
async fn answer_token(
    backend: &BackendHandle,
    token: &str,
    key: Option<&str>,
    request: Request<Incoming>,
) -> Result<Reply, BackendError> {
    let Some(ttl) = backend.ttl(token).await? else {
        return Ok(unknown_token(token));
    };
    let key = key.unwrap_or_default();
    let registers = *request.method() == Method::PUT;
    let reply = backend.forward(token, key, request).await?;
    if registers && reply.status().is_success() {
        debug!(token, key, "member registered");
        if ttl < TOKEN_TTL.saturating_sub(RENEW_AFTER)
            && let Err(error) = backend.renew(token).await
        {
            // The registration succeeded; the next one renews the token.
            warn!(token, "cannot renew a token: {error}");
        }
    }
    Ok(reply)
}

fn unknown_token(token: &str) -> Reply {
    reply::key_not_found(&format!("{REGISTRY}/{token}"))
}

/// A path whose first component could be a token is answered as one with an unknown token.
fn not_found(path: &str) -> Reply {
    let is_plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match path.trim_start_matches('/').split('/').next() {
        Some(token) if !token.is_empty() && is_plain(token) => unknown_token(token),
        _ => reply::not_found(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed() {
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
            assert_eq!(parse_size(query).ok(), expected, "{query:?}");
        }
    }

    #[test]
    fn html_is_escaped() {
        assert_eq!(escape_html("http://x/\"<&"), "http://x/&quot;&lt;&amp;");
        assert!(WELCOME.contains("BASE/new"));
    }
}
