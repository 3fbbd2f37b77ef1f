//! Parses server-sent events from pieces that may end anywhere. It reads only what our server sends: frames with one
//! line for each field, also for the data.

use memchr::memchr;
use memchr::memmem::Finder;

/// An event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Its type; empty where it is the default one.
    pub(super) event: &'a [u8],
    /// Its id.
    pub(super) id: &'a [u8],
    /// Its data.
    pub(super) data: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first member of this name in the data, which must be a string without escapes.
    pub(super) fn text(&self, member: &str) -> Option<&'a str> {
        let start = Finder::new(&format!("\"{member}\":\"")).find(self.data)? + member.len() + 4;
        let rest = &self.data[start..];
        str::from_utf8(&rest[..memchr(b'"', rest)?]).ok()
    }

    /// The id as a number.
    pub(super) fn number(&self) -> Option<u64> {
        str::from_utf8(self.id).ok()?.parse().ok()
    }
}

/// The parser of one stream. It keeps what has arrived and is not a whole frame yet.
#[derive(Debug)]
pub(super) struct Frames {
    end: Finder<'static>,
    open: Vec<u8>,
}

impl Frames {
    /// The beginning of a stream.
    pub(super) fn new() -> Self {
        Self { end: Finder::new(b"\n\n"), open: Vec::new() }
    }

    /// Takes a piece, and calls `on_event` for each event that it completes. Frames without data are no events.
    pub(super) fn push(&mut self, piece: &[u8], mut on_event: impl FnMut(Frame<'_>)) {
        self.open.extend_from_slice(piece);
        let mut start = 0;
        while let Some(length) = self.end.find(&self.open[start..]) {
            let frame = parse(&self.open[start..start + length]);
            if !frame.data.is_empty() {
                on_event(frame);
            }
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
            let (mut frames, mut seen) = (Frames::new(), Vec::new());
            for piece in STREAM.chunks(size) {
                frames.push(piece, |frame| {
                    seen.push((frame.event.to_vec(), frame.number(), frame.text("at").map(str::to_owned)));
                });
            }
            let expected = [(vec![], Some(7), Some("now".to_owned())), (b"end".to_vec(), None, None)];
            assert_eq!(seen, expected, "in pieces of {size}");
        }
    }
}
