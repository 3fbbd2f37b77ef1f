//! Decodes the body of a chunked answer, however the pieces arrive.

use bytes::{Buf, BytesMut};

use crate::bench::error::Failure;

const LINE_END: &[u8] = b"\r\n";

/// The state of the decoder.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Chunked {
    /// Before the size of a chunk.
    #[default]
    Size,
    /// So many bytes of the chunk are missing.
    Data(u64),
    /// Before the line end that ends a chunk.
    DataEnd,
    /// Within the trailer, after the last chunk.
    Trailer,
}

impl Chunked {
    /// Moves the data of what has arrived from `input` to `body`, and says whether the body is complete.
    pub(super) fn decode(&mut self, input: &mut BytesMut, body: &mut Vec<u8>) -> Result<bool, Failure> {
        loop {
            match self {
                Self::Size => match httparse::parse_chunk_size(input) {
                    Ok(httparse::Status::Complete((length, size))) => {
                        input.advance(length);
                        *self = if size == 0 { Self::Trailer } else { Self::Data(size) };
                    }
                    Ok(httparse::Status::Partial) => return Ok(false),
                    Err(_) => return Err(Failure::Malformed("chunk")),
                },
                Self::Data(missing) => {
                    let here = input.len().min(usize::try_from(*missing).unwrap_or(usize::MAX));
                    body.extend_from_slice(&input[..here]);
                    input.advance(here);
                    *missing -= here as u64;
                    if *missing > 0 {
                        return Ok(false);
                    }
                    *self = Self::DataEnd;
                }
                Self::DataEnd => {
                    if input.len() < LINE_END.len() {
                        return Ok(false);
                    }
                    if !input.starts_with(LINE_END) {
                        return Err(Failure::Malformed("chunk"));
                    }
                    input.advance(LINE_END.len());
                    *self = Self::Size;
                }
                Self::Trailer => {
                    let Some(end) = input.windows(2).position(|window| window == LINE_END) else {
                        return Ok(false);
                    };
                    input.advance(end + LINE_END.len());
                    if end == 0 {
                        *self = Self::Size;
                        return Ok(true);
                    }
                }
            }
        }
    }
}
