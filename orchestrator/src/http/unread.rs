//! What a handler leaves unread of the body of its request.
//!
//! An answer may be ready before the body has arrived: the path is wrong, or the content type. If the body then stayed
//! unread, hyper would close the connection without a word after the answer, and a client that keeps its connections
//! would send its next request into the closing one. So the rest is read and thrown away before the answer is sent; if
//! there is too much of it, the answer says that the connection ends.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

use super::extract::MAX_BODY_BYTES;

/// How much of a body is read and thrown away, so that its sender gets to read the answer.
const MAX_DRAINED_BYTES: usize = 4 * MAX_BODY_BYTES;

/// Where the body of a request is put when it is dropped before its end.
pub(super) struct Unread {
    rest: Arc<Mutex<Option<Rest>>>,
    /// Whether the client sends the body only once it is read (`Expect: 100-continue`).
    awaits_reader: bool,
}

/// The body as its reader gets it.
struct Kept {
    rest: Rest,
    place: Arc<Mutex<Option<Rest>>>,
}

/// What is still to be read of a body.
#[derive(Default)]
struct Rest {
    body: Body,
    /// Whether its reader had begun.
    begun: bool,
}

impl Unread {
    /// Keeps the body of a request, if it has one.
    pub(super) fn of(request: Request) -> (Request, Option<Self>) {
        if request.body().is_end_stream() {
            return (request, None);
        }
        let place = Arc::<Mutex<Option<Rest>>>::default();
        let awaits_reader = request.headers().contains_key(header::EXPECT);
        let unread = Self { rest: Arc::clone(&place), awaits_reader };
        let kept = |body| Kept { rest: Rest { body, begun: false }, place };
        (request.map(|body| Body::new(kept(body))), Some(unread))
    }

    /// Reads the rest of the body, if its reader has left any; else ends the connection with this answer.
    pub(super) async fn drain(self, answer: &mut Response) {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Rest { body, begun }) = rest else { return };
        let comes = begun || !self.awaits_reader;
        if !comes || !is_drained(body).await {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Whether the whole body has arrived, and was not too long.
async fn is_drained(mut body: Body) -> bool {
    let mut drained = 0;
    while drained <= MAX_DRAINED_BYTES {
        match body.frame().await {
            None => return true,
            Some(Ok(frame)) => drained += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) => return false,
        }
    }
    false
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.rest.begun = true;
        Pin::new(&mut self.rest.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.body.size_hint()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.is_end_stream() {
            let rest = std::mem::take(&mut self.rest);
            *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        }
    }
}
