//! Parses server-sent events from pieces that may end anywhere, for our clients. It reads only what our server sends:
//! frames with one line for each field, also for the data.

use memchr::memchr;
use memchr::memmem::Finder;

/// An event; or, without data, a frame that opens the stream or keeps it open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Its type; empty where it is the default one.
    pub(crate) event: &'a [u8],
    /// Its id.
    pub(crate) id: &'a [u8],
    /// Its data; only an event has any.
    pub(crate) data: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first member of this name in the data, which must be a string without escapes.
    pub(crate) fn text(&self, member: &str) -> Option<&'a str> {
        let start = Finder::new(&format!("\"{member}\":\"")).find(self.data)? + member.len() + 4;
        let rest = &self.data[start..];
        str::from_utf8(&rest[..memchr(b'"', rest)?]).ok()
    }

    /// Whether it is an event.
    pub(crate) fn is_event(&self) -> bool {
        !self.data.is_empty()
    }

    /// The id as a number.
    pub(crate) fn number(&self) -> Option<u64> {
        str::from_utf8(self.id).ok()?.parse().ok()
    }
}

/// The parser of one stream. It keeps what has arrived and is not a whole frame yet.
#[derive(Debug)]
pub(crate) struct SseReader {
    end: Finder<'static>,
    open: Vec<u8>,
}

impl SseReader {
    /// The beginning of a stream.
    pub(crate) fn new() -> Self {
        Self { end: Finder::new(b"\n\n"), open: Vec::new() }
    }

    /// Takes a piece, and calls `on_frame` for each frame that it completes.
    pub(crate) fn push(&mut self, piece: &[u8], mut on_frame: impl FnMut(Frame<'_>)) {
        self.open.extend_from_slice(piece);
        let mut start = 0;
        while let Some(length) = self.end.find(&self.open[start..]) {
            on_frame(parse(&self.open[start..start + length]));
            start += length + 2;
        }
        self.open.drain(..start);
    }
}

fn parse(text: &[u8]) -> Frame<'_> {
    let mut frame = Frame::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, next) = match memchr(b'\n', rest) {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &[][..]),
        };
        rest = next;
        if let Some(data) = line.strip_prefix(b"data: ") {
            frame.data = data;
        } else if let Some(id) = line.strip_prefix(b"id: ") {
            frame.id = id;
        } else if let Some(event) = line.strip_prefix(b"event: ") {
            frame.event = event;
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"retry: 900\nid: 6\n\nid: 7\ndata: {\"at\":\"now\"}\n\n: still here\nid: 7\n\nevent: end\nid: end\ndata: {}\n\n";

    #[test]
    fn events_are_found_wherever_pieces_end() {
        for size in 1..STREAM.len() {
            let (mut reader, mut seen) = (SseReader::new(), Vec::new());
            for piece in STREAM.chunks(size) {
                reader.push(piece, |frame| {
                    let at = frame.text("at").map(str::to_owned);
                    seen.push((frame.is_event(), frame.event.to_vec(), frame.number(), at));
                });
            }
            let expected = [
                (false, vec![], Some(6), None),
                (true, vec![], Some(7), Some("now".to_owned())),
                (false, vec![], Some(7), None),
                (true, b"end".to_vec(), None, None),
            ];
            assert_eq!(seen, expected, "in pieces of {size}");
        }
    }
}
