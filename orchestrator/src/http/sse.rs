//! Server-sent events: answers that go on, and can be resumed where they broke off.

use std::convert::Infallible;
use std::fmt::Display;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use tokio_util::sync::CancellationToken;

use crate::random;

/// Longest silence: below the idle timeouts of load balancers, and soon enough to notice a client that has gone.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Before a client comes back; spread, so that those of a server that stops do not come all at once.
const RETRY_MS: f64 = 1_000.0;
/// Bytes of small frames that are sent as one piece, and the size from which a frame is sent without copying it.
const PIECE: usize = 64 * 1024;
/// Tells nginx to pass on what comes, as it comes.
const NO_BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// What is followed.
pub(super) trait Source: Send + 'static {
    /// What comes next, a few frames of it, and within [`KEEP_ALIVE`]; `None` at the end. The client is ready when this
    /// is asked, and not before, so nothing is queued for it.
    fn next(&mut self) -> impl Future<Output = Option<Frames>> + Send;
}

/// Some frames as they are sent.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pieces: Vec<Bytes>,
    open: Vec<u8>,
    bytes: usize,
}

impl Frames {
    /// How long the client waits before it comes back, and where it does if nothing else comes before.
    pub(super) fn opening(id: impl Display) -> Self {
        // From half to one and a half times.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 1,500")]
        let retry = (RETRY_MS * (0.5 + random::draw())) as u64;
        let mut frames = Self::default();
        frames.write(&format!("retry: {retry}\nid: {id}\n\n"));
        frames
    }

    /// A sign of life. Without data it is no event, but the client comes back after `id`.
    pub(super) fn keep_alive(id: impl Display) -> Self {
        let mut frames = Self::default();
        frames.write(&format!(": still here\nid: {id}\n\n"));
        frames
    }

    /// An event of the default type. Its data is one line.
    pub(super) fn push(&mut self, id: impl Display, data: &Bytes) {
        self.write(&format!("id: {id}\ndata: "));
        self.bytes += data.len();
        if data.len() < PIECE {
            self.open.extend_from_slice(data);
        } else {
            self.close();
            self.pieces.push(data.clone());
        }
        self.write("\n\n");
    }

    /// An event of another type.
    pub(super) fn push_as(&mut self, event: &str, id: impl Display, data: &Bytes) {
        self.write(&format!("event: {event}\n"));
        self.push(id, data);
    }

    /// Whether there is as much as should be sent at once.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= PIECE
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    fn write(&mut self, text: &str) {
        self.bytes += text.len();
        self.open.extend_from_slice(text.as_bytes());
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.pieces.push(std::mem::take(&mut self.open).into());
        }
    }

    fn into_pieces(mut self) -> impl Iterator<Item = Result<Bytes, Infallible>> {
        self.close();
        self.pieces.into_iter().map(Ok)
    }
}

/// What comes from the source, after `opening`. It ends when the server is about to stop: the client comes back, to
/// this one or another, and goes on where it was.
pub(super) fn answer(opening: Frames, source: impl Source, draining: CancellationToken) -> Response {
    let followed = stream::unfold((source, draining), async |(mut source, draining)| {
        let frames = draining.run_until_cancelled(source.next()).await??;
        Some((frames, (source, draining)))
    });
    let frames = stream::iter([opening]).chain(followed);
    let body = Body::from_stream(frames.flat_map(|frames| stream::iter(frames.into_pieces())));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        NO_BUFFERING,
    ];
    (headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(frames: Frames) -> String {
        let pieces: Vec<u8> = frames.into_pieces().flat_map(|piece| piece.unwrap()).collect();
        String::from_utf8(pieces).unwrap()
    }

    #[test]
    fn a_frame_is_its_id_its_data_and_an_empty_line() {
        let mut frames = Frames::default();
        frames.push(7, &Bytes::from_static(b"{}"));
        frames.push_as("end", "end", &Bytes::from_static(b"[]"));
        assert_eq!(text(frames), "id: 7\ndata: {}\n\nevent: end\nid: end\ndata: []\n\n");
    }

    #[test]
    fn small_frames_are_joined_and_a_large_one_is_not_copied() {
        let (small, large) = (Bytes::from_static(b"{}"), Bytes::from(vec![b'x'; PIECE]));
        let mut frames = Frames::default();
        frames.push(1, &small);
        assert!(!frames.is_full());
        frames.push(2, &small);
        frames.push(3, &large);
        frames.push(4, &small);
        assert!(frames.is_full());
        let pieces: Vec<Bytes> = frames.into_pieces().map(Result::unwrap).collect();
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[1].as_ptr(), large.as_ptr());
    }

    #[test]
    fn clients_come_back_spread_over_a_second() {
        let opening = text(Frames::opening(12));
        let retry: u64 = opening.strip_prefix("retry: ").unwrap().lines().next().unwrap().parse().unwrap();
        assert!((500..=1_500).contains(&retry), "{opening}");
        assert!(opening.ends_with("\nid: 12\n\n"), "{opening}");
    }
}
