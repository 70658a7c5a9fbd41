//! Bodies: of requests, read whole and within bounds, and of answers, written whole or event by event.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, EXPECT};
use hyper::{HeaderMap, Method};

use super::Limits;
use super::activity::RequestGuard;
use super::multipart;
use super::params::{Params, Rejection};

/// How much of a body that is too long is still read, in bytes, so that its sender sees the answer instead
/// of a broken connection; a longer one is cut off.
pub const DISCARD_MAX: usize = 16 << 20;

/// The body of an answer.
pub struct Body {
    content: Content,
    busy: Option<RequestGuard>,
}

/// Where a body that goes on comes from: none at its end.
pub(super) type Events = Pin<Box<dyn Future<Output = Option<Piece>> + Send>>;

/// Some of a body that goes on.
pub(super) struct Piece {
    /// What to send now.
    pub(super) bytes: Bytes,
    /// Where the next comes from.
    pub(super) rest: Events,
}

enum Content {
    Whole(Bytes),
    Events(Events),
    End,
}

impl Body {
    /// A body that is all there.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let content = if bytes.is_empty() {
            Content::End
        } else {
            Content::Whole(bytes)
        };
        Self {
            content,
            busy: None,
        }
    }

    /// A body of pieces, each sent when it is there. Nothing is kept but the piece being written: who
    /// doesn't read is waited for, and the connection's own limits end that.
    pub(super) fn events(events: Events) -> Self {
        Self {
            content: Content::Events(events),
            busy: None,
        }
    }

    /// Whether it is sent event by event.
    pub(super) fn is_watch(&self) -> bool {
        matches!(self.content, Content::Events(_))
    }

    /// Say when it was sent, by dropping `busy`.
    pub(super) fn keep(&mut self, busy: RequestGuard) {
        self.busy = Some(busy);
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.content {
            Content::End => Poll::Ready(None),
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::End;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Content::Events(events) => {
                let piece = std::task::ready!(events.as_mut().poll(context));
                let (content, frame) = match piece {
                    Some(Piece { bytes, rest }) => {
                        (Content::Events(rest), Some(Ok(Frame::data(bytes))))
                    }
                    None => (Content::End, None),
                };
                self.content = content;
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::End)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Events(_) => SizeHint::default(),
            Content::End => SizeHint::with_exact(0),
        }
    }
}

/// The parameters of a request: of its form, if its method has one, and then of its query string.
/// Its body is read to the end in any case, within `limits`.
///
/// # Errors
///
/// The body or the query string cannot be read, is too long, too slow, or of another type.
pub(super) async fn params(
    request: &mut hyper::Request<Incoming>,
    limits: &Limits,
) -> Result<Params, Rejection> {
    let mut params = Params::default();
    let body = whole(request, limits).await?;
    if !body.is_empty() && matches!(*request.method(), Method::PUT | Method::POST) {
        form(&mut params, request.headers(), &body)?;
    }
    if let Some(query) = request.uri().query() {
        params.read(&Bytes::copy_from_slice(query.as_bytes()))?;
    }
    Ok(params)
}

/// The body of a request, whatever it is.
///
/// # Errors
///
/// It cannot be read, is too long or too slow.
pub(super) async fn whole(
    request: &mut hyper::Request<Incoming>,
    limits: &Limits,
) -> Result<Bytes, Rejection> {
    if hyper::body::Body::is_end_stream(request.body()) {
        return Ok(Bytes::new());
    }
    let time_max = if limits.read.is_zero() {
        Duration::MAX
    } else {
        limits.read
    };
    // Who waits for leave to send is told at once that it is too long.
    let polite = request.headers().contains_key(EXPECT);
    let discard_max = if polite {
        limits.body_bytes
    } else {
        DISCARD_MAX.max(limits.body_bytes)
    };
    let body = read(request.body_mut(), limits.body_bytes, discard_max);
    let body = tokio::time::timeout(time_max, body).await;
    body.unwrap_or(Err(Rejection::Slow))
}

fn form(params: &mut Params, headers: &HeaderMap, body: &Bytes) -> Result<(), Rejection> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let content_type = content_type.ok_or(Rejection::BodyType)?;
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        params.read(body)
    } else if kind.eq_ignore_ascii_case("multipart/form-data") {
        multipart::read(params, content_type, body)
    } else {
        Err(Rejection::BodyType)
    }
}

/// The whole body, if it has at most `bytes_max`; of a longer one `discard_max` are read to no end.
async fn read(
    body: &mut Incoming,
    bytes_max: usize,
    discard_max: usize,
) -> Result<Bytes, Rejection> {
    let announced = hyper::body::Body::size_hint(body).lower();
    if announced > discard_max as u64 {
        return Err(Rejection::TooLarge(bytes_max));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut length = 0;
    while let Some(data) = next(body).await? {
        length += data.len();
        if length > discard_max {
            break;
        }
        if length > bytes_max {
            (first, all) = (Bytes::new(), BytesMut::new());
        } else if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            // Most bodies come in one piece and are never copied.
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    if length > bytes_max {
        return Err(Rejection::TooLarge(bytes_max));
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The next piece of data; trailers are passed over.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Rejection> {
    loop {
        let frame = std::future::poll_fn(|context| {
            hyper::body::Body::poll_frame(Pin::new(&mut *body), context)
        });
        match frame.await {
            None => return Ok(None),
            Some(Err(error)) => {
                return Err(Rejection::Form(format!("the body is broken: {error}")));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
