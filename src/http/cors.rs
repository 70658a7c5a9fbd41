//! CORS: the web origins that may read responses (`-cors`).

use hyper::HeaderMap;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    HeaderValue, ORIGIN,
};

/// The allowed origins; compared byte by byte, as in 0.4.6.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    origins: Vec<String>,
    any: bool,
}

impl Cors {
    /// Allow these origins, such as `http://one.example:8080`; `*` allows any.
    pub fn new(origins: impl IntoIterator<Item = String>) -> Self {
        let origins: Vec<String> = origins
            .into_iter()
            .map(|origin| origin.trim().to_owned())
            .filter(|origin| !origin.is_empty())
            .collect();
        Self {
            any: origins.iter().any(|origin| origin == "*"),
            origins,
        }
    }

    /// The value of `Access-Control-Allow-Origin` for a request with these headers; none if it is not allowed.
    pub(super) fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        if self.origins.is_empty() {
            return None;
        }
        let origin = request.get(ORIGIN)?;
        let listed = self
            .origins
            .iter()
            .any(|listed| listed.as_bytes() == origin.as_bytes());
        listed.then(|| origin.clone())
    }
}

/// Add the three CORS headers to a response that `origin` may read.
pub(super) fn allow(response: &mut HeaderMap, origin: HeaderValue) {
    response.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE"),
    );
    response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    response.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("accept, content-type"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin_for(cors: &Cors, origin: Option<&'static str>) -> Option<HeaderValue> {
        let headers = origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin)));
        cors.allowed(&headers.into_iter().collect())
    }

    #[test]
    fn a_star_allows_any_origin() {
        let cors = Cors::new(["*".to_owned()]);
        assert_eq!(origin_for(&cors, None), Some(HeaderValue::from_static("*")));
        assert_eq!(
            origin_for(&cors, Some("null")),
            Some(HeaderValue::from_static("*"))
        );
    }

    #[test]
    fn only_an_identical_origin_is_allowed() {
        let cors = Cors::new([
            "http://one.example".to_owned(),
            " http://two.example:8080 ".to_owned(),
        ]);
        for origin in ["http://one.example", "http://two.example:8080"] {
            assert_eq!(
                origin_for(&cors, Some(origin)),
                Some(HeaderValue::from_static(origin))
            );
        }
        for origin in [
            "http://two.example",
            "HTTP://ONE.EXAMPLE",
            "http://one.example/",
            "*",
            "null",
            "",
        ] {
            assert_eq!(origin_for(&cors, Some(origin)), None);
        }
        assert_eq!(origin_for(&cors, None), None);
        assert_eq!(
            origin_for(&Cors::default(), Some("http://one.example")),
            None
        );
    }
}
