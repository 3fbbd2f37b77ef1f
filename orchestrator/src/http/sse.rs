//! Server-sent events: streamed answers that a client can resume where they broke off.
//!
//! The client pulls: a [`Source`] is asked for more only when the client is ready, so nothing is queued for a slow
//! one.

use std::convert::Infallible;
use std::fmt::Display;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};

use super::state::AppState;
use crate::metrics::Stream;
use crate::random;

/// Longest silence: below the idle timeouts of load balancers, and short enough to notice a client that has gone.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Mean pause before a client reconnects; randomized, so that those of a server that stops do not come all at once.
const RETRY_MS: f64 = 1_000.0;
/// Size in bytes from which a batch of frames is sent, and from which a frame's data is sent without being copied.
const PIECE: usize = 64 * 1024;
/// Tells nginx to pass the answer on without buffering it.
const NO_BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// What a client follows.
pub(super) trait Source: Send + 'static {
    /// The next few frames, within [`KEEP_ALIVE`]; `None` at the end. Called only when the client is ready for more.
    fn next(&mut self) -> impl Future<Output = Option<Frames>> + Send;
}

/// A batch of encoded frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// What is complete, in order.
    pieces: Vec<Bytes>,
    /// The piece that small frames are still joined to.
    open: Vec<u8>,
    /// Bytes of all pieces together.
    bytes: usize,
}

impl Frames {
    /// The first frame: how long the client waits before it reconnects, and the id from which it then resumes unless
    /// it has received another one.
    pub(super) fn opening(id: impl Display) -> Self {
        // From half to one and a half times the mean.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 1,500")]
        let retry = (RETRY_MS * (0.5 + random::draw())) as u64;
        let mut frames = Self::default();
        frames.write(&format!("retry: {retry}\nid: {id}\n\n"));
        frames
    }

    /// A keep-alive. Without data it is no event, but it moves the id from which the client resumes.
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

    /// Whether the batch is large enough to be sent.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= PIECE
    }

    /// Whether there are no frames in it.
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

/// The streamed answer: `opening`, then what the source gives. It ends when the server drains: the client reconnects,
/// to this server or another, and resumes where it was. Until then the client counts as one of this kind of stream.
pub(super) fn answer(state: &AppState, kind: Stream, opening: Frames, source: impl Source) -> Response {
    let (draining, client) = (state.draining.clone(), state.metrics.stream_client(kind));
    let followed = stream::unfold((source, draining, client), async |(mut source, draining, client)| {
        let frames = draining.run_until_cancelled(source.next()).await??;
        Some((frames, (source, draining, client)))
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
