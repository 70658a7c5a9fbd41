//! The page where machines ask for a place.

use std::future::Future;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use tracing::info;

use crate::cluster::{JoinAnswer, JoinError, JoinRequest, MemberList};
use crate::membership::api::{self, JOIN_PATH};
use crate::transport::http::read_body;

/// The largest request; a longer one is refused.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Answer a request for [`JOIN_PATH`]. `join` gives the machine its place and returns once the log has
/// it; it is called only for a request that makes sense. It is up to the server to end requests that
/// are sent too slowly.
pub async fn page<J, F>(request: Request<Incoming>, join: J) -> Response<Full<Bytes>>
where
    J: FnOnce(JoinRequest) -> F,
    F: Future<Output = Result<JoinAnswer, JoinError>>,
{
    if request.method() != Method::POST {
        let error = JoinError::Invalid("only POST is served here".to_owned());
        let mut response = reply(StatusCode::METHOD_NOT_ALLOWED, api::error_out(&error));
        let allow = HeaderValue::from_static("POST");
        response.headers_mut().insert(ALLOW, allow);
        return response;
    }
    let body = match read_body(request.into_body(), REQUEST_BYTES_MAX).await {
        Ok(body) => body,
        Err(failure) => return decline(&JoinError::Invalid(failure.to_string())),
    };
    let request = match api::request_in(&body) {
        Ok(request) => request,
        Err(error) => return decline(&error),
    };
    let (name, id) = (request.member.name.clone(), request.member.id);
    match join(request).await {
        Ok(answer) => {
            info!("{name} ({id}) has a place in the cluster");
            reply(StatusCode::OK, api::answer_out(&answer))
        }
        Err(error) => {
            info!("{name} ({id}) asks to join: {error}");
            decline(&error)
        }
    }
}

/// The page at [`api::ROSTER_PATH`].
pub fn member_list_page(members: &MemberList) -> Response<Full<Bytes>> {
    reply(StatusCode::OK, api::member_list_out(members))
}

/// There is no such page for members here.
pub fn no_page() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from("404 page not found\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

fn decline(error: &JoinError) -> Response<Full<Bytes>> {
    let status = match error {
        JoinError::NameTaken { .. } | JoinError::AddressTaken { .. } => StatusCode::CONFLICT,
        JoinError::NoPlace(_) => StatusCode::FORBIDDEN,
        JoinError::Removed => StatusCode::GONE,
        JoinError::Version { .. } | JoinError::Invalid(_) => StatusCode::BAD_REQUEST,
        JoinError::ForeignCluster { .. } => StatusCode::PRECONDITION_FAILED,
        JoinError::NotLeader { .. } => StatusCode::TEMPORARY_REDIRECT,
        JoinError::Unready(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = reply(status, api::error_out(error));
    let headers = response.headers_mut();
    if let JoinError::NotLeader { leader } = error
        && let Ok(location) = HeaderValue::try_from(format!("{leader}{JOIN_PATH}"))
    {
        headers.insert(LOCATION, location);
    }
    if matches!(error, JoinError::Unready(_)) {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// An answer of JSON.
pub(super) fn reply(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
