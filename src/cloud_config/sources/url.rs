//! A document that is fetched from a URL.

use std::time::Duration;

use super::error::SourceError;
use super::loaded::Loaded;
use crate::client::{Client, Request};
use crate::cluster::Address;

/// Maximum number of attempts. With the delays this takes about a minute: enough for the network to come up,
/// without blocking the boot for long.
const ATTEMPTS_MAX: u32 = 15;

/// The delay after the first attempt; it doubles after each further one.
const DELAY: Duration = Duration::from_millis(100);

/// Maximum delay between two attempts.
const DELAY_MAX: Duration = Duration::from_secs(5);

/// Fetches a document.
///
/// # Errors
///
/// - [`SourceError::Scheme`], [`SourceError::Credentials`], [`SourceError::Character`],
///   [`SourceError::Address`]: the URL cannot be used.
/// - [`SourceError::Runtime`]: the HTTP client cannot be started.
/// - [`SourceError::Status`]: the server responded with a client error, which a retry would not change.
/// - [`SourceError::GaveUp`]: all attempts failed.
pub(super) fn load(url: &str) -> Result<Loaded, SourceError> {
    let (address, path) = parse(url)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SourceError::Runtime)?;
    let bytes = runtime.block_on(fetch(url, address, &path))?;
    Ok(Loaded {
        name: String::from(url),
        bytes: Some(bytes),
        ..Loaded::default()
    })
}

/// The address of the server and the request target.
fn parse(url: &str) -> Result<(Address, String), SourceError> {
    let unknown_scheme = || SourceError::Scheme {
        url: String::from(url),
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(unknown_scheme)?;
    let scheme = scheme.to_ascii_lowercase();
    let port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return Err(unknown_scheme()),
    };
    // The fragment is not sent.
    let rest = rest.split('#').next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if let Some((_, host)) = host.rsplit_once('@') {
        let url = format!("{scheme}://...@{host}{path}");
        return Err(SourceError::Credentials { url });
    }
    if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        let url = String::from(url);
        return Err(SourceError::Character { url });
    }
    let base = format!("{scheme}://{host}");
    let address = Address::parse_with_port(&base, port)
        .map_err(|error| SourceError::Address { url: base, error })?;
    let path = match path.starts_with('/') {
        true => String::from(path),
        false => format!("/{path}"),
    };
    Ok((address, path))
}

/// Fetches a page, with retries unless the response is a client error.
async fn fetch(url: &str, address: Address, path: &str) -> Result<Vec<u8>, SourceError> {
    let client = Client::new(vec![address]);
    let mut delay = DELAY;
    let mut attempts = 1;
    loop {
        let url = String::from(url);
        let error = match client.send(&Request::page(path)).await {
            Ok(answer) if answer.is_success() => return Ok(answer.body.to_vec()),
            Ok(answer) => {
                let status = answer.status;
                let error = SourceError::Status { url, status };
                // A client error is final, except for 408 Request Timeout and 429 Too Many Requests.
                if (400..500).contains(&status) && !matches!(status, 408 | 429) {
                    return Err(error);
                }
                error
            }
            Err(error) => SourceError::Fetch { url, error },
        };
        if attempts == ATTEMPTS_MAX {
            let error = Box::new(error);
            return Err(SourceError::GaveUp { attempts, error });
        }
        eprintln!("etcd-cloudinit: {error}; retrying");
        tokio::time::sleep(delay).await;
        delay = DELAY_MAX.min(delay * 2);
        attempts += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_urls_are_rejected() {
        for bad in [
            "https:///x",
            "http://",
            "ftp://example.com",
            "example.com/x",
            "http://a/b c",
            "http://a b/c",
            "http://a/\u{fc}",
            "http://a/b\n",
        ] {
            assert!(load(bad).is_err(), "{bad}");
        }
        let error = load("http://me:secret@a.example/x").map(|loaded| loaded.name);
        let error = error.expect_err("a password").to_string();
        assert!(
            !error.contains("secret") && error.contains("a.example/x"),
            "{error}"
        );
    }

    #[test]
    fn a_url_has_an_address_and_a_path() {
        for (url, expected, path) in [
            ("HTTP://a.example", "http://a.example:80", "/"),
            ("Https://a.example?b=c", "https://a.example:443", "/?b=c"),
            (
                "http://[fd00::1]:8080/d?e#f",
                "http://[fd00::1]:8080",
                "/d?e",
            ),
        ] {
            let (address, target) = parse(url).expect(url);
            assert_eq!((address.url().as_str(), target.as_str()), (expected, path));
        }
    }
}
