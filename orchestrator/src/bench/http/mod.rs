//! An HTTP/1.1 client of one connection, which stays open: it sends the bytes of a request and reads the answer. A
//! connection that was closed is opened again with the next request.

mod chunked;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use reqwest::Url;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::chunked::Chunked;
use super::error::{BenchError, Failure};
use super::request::{Fill, Request};

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Free space of the input buffer before each read, in bytes.
const READ: usize = 16 * 1024;
/// More headers than any answer of the server has.
const MAX_HEADERS: usize = 48;

/// The server: its address, and its name and base path in requests.
#[derive(Debug)]
pub(super) struct Target {
    address: SocketAddr,
    /// The value of the header `Host`.
    pub(super) host: String,
    /// The base path, before `/api`.
    pub(super) base: String,
}

impl Target {
    /// Resolves the address, once for the whole run.
    pub(super) async fn resolve(server: &Url) -> Result<Self, BenchError> {
        let (Some(host), "http") = (server.host_str(), server.scheme()) else {
            return Err(BenchError::NotPlain(server.to_string()));
        };
        let host = match server.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let with_port = if server.port().is_some() { host.clone() } else { format!("{host}:80") };
        let found = tokio::net::lookup_host(with_port).await.and_then(|mut addresses| {
            addresses.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it has no address"))
        });
        let address = found.map_err(|source| BenchError::UnknownHost { host: host.clone(), source })?;
        Ok(Self { address, host, base: server.path().trim_end_matches('/').to_owned() })
    }
}

/// The head of an answer, and how its body ends.
#[derive(Debug, Clone, Copy)]
struct Head {
    status: u16,
    position: Option<u64>,
    framing: Framing,
    closes: bool,
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy)]
enum Framing {
    /// So many bytes are missing.
    Length(u64),
    Chunked(Chunked),
    UntilClosed,
}

/// A successful answer.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    /// `Rivet-Position`, where there is one.
    pub(super) position: Option<u64>,
    body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Parses the body as JSON; members that `T` does not have are ignored.
    pub(super) fn json<T: Deserialize<'a>>(&self) -> Result<T, Failure> {
        serde_json::from_slice(self.body).map_err(|_| Failure::Malformed("body"))
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    target: Rc<Target>,
    stream: Option<TcpStream>,
    /// How often it was opened.
    opened: u64,
    output: Vec<u8>,
    input: BytesMut,
    /// The body that was read last, decoded.
    body: Vec<u8>,
    /// The head of a streamed answer that has not ended yet.
    streaming: Option<Head>,
}

impl Connection {
    /// A connection that is opened with its first request.
    pub(super) fn new(target: &Rc<Target>) -> Self {
        Self {
            target: Rc::clone(target),
            stream: None,
            opened: 0,
            output: Vec::new(),
            input: BytesMut::with_capacity(READ),
            body: Vec::new(),
            streaming: None,
        }
    }

    /// How often it had to be opened again.
    pub(super) fn reconnects(&self) -> u64 {
        self.opened.saturating_sub(1)
    }

    /// Sends a request, and reads the answer to its end. After a failure other than a refusal, the next request opens
    /// a new connection.
    pub(super) async fn exchange(&mut self, request: &Request, fill: Fill) -> Result<Answer<'_>, Failure> {
        let read = async {
            let mut head = self.begin(request, fill).await?;
            while !self.read_piece(&mut head.framing).await? {}
            Ok(head)
        };
        let head = match tokio::time::timeout(TIMEOUT, read).await.unwrap_or(Err(Failure::TimedOut)) {
            Ok(head) => head,
            Err(failure) => {
                self.stream = None;
                return Err(failure);
            }
        };
        if head.closes {
            self.stream = None;
        }
        if (200..300).contains(&head.status) {
            Ok(Answer { position: head.position, body: &self.body })
        } else {
            Err(refusal(head.status, &self.body))
        }
    }

    /// Sends a request whose answer is a stream, and returns when its head has arrived; see [`Self::next_piece`].
    pub(super) async fn open_stream(&mut self, request: &Request, fill: Fill) -> Result<(), Failure> {
        let begun = tokio::time::timeout(TIMEOUT, self.begin(request, fill)).await;
        match begun.unwrap_or(Err(Failure::TimedOut)) {
            Ok(head) if head.status == 200 => {
                self.streaming = Some(head);
                Ok(())
            }
            Ok(head) => {
                self.stream = None;
                Err(refusal(head.status, &[]))
            }
            Err(failure) => {
                self.stream = None;
                Err(failure)
            }
        }
    }

    /// The next piece of a streamed answer; `None` at its end.
    pub(super) async fn next_piece(&mut self) -> Result<Option<&[u8]>, Failure> {
        let Some(mut head) = self.streaming.take() else { return Ok(None) };
        self.body.clear();
        let mut is_over = false;
        while self.body.is_empty() && !is_over {
            is_over = match self.read_piece(&mut head.framing).await {
                Ok(is_over) => is_over,
                Err(failure) => {
                    self.stream = None;
                    return Err(failure);
                }
            };
        }
        if !is_over {
            self.streaming = Some(head);
        } else if head.closes {
            self.stream = None;
        }
        Ok((!self.body.is_empty()).then_some(&self.body))
    }

    /// Sends a request, and reads the head of its answer.
    async fn begin(&mut self, request: &Request, fill: Fill) -> Result<Head, Failure> {
        self.output.clear();
        request.write(fill, &mut self.output);
        self.body.clear();
        if self.stream.is_none() {
            self.stream = Some(connect(self.target.address).await.map_err(Failure::NoConnection)?);
            self.opened += 1;
            self.input.clear();
        }
        let stream = self.stream.as_mut().expect("invariant: it was made above");
        stream.write_all(&self.output).await.map_err(Failure::Broken)?;
        loop {
            self.read().await?;
            if let Some((head, length)) = parse_head(&self.input)? {
                self.input.advance(length);
                return Ok(head);
            }
        }
    }

    /// Moves what has arrived of a body into `body`, or reads more where nothing has. Says whether the body is
    /// complete.
    async fn read_piece(&mut self, framing: &mut Framing) -> Result<bool, Failure> {
        match framing {
            Framing::Length(0) => return Ok(true),
            Framing::Length(missing) => {
                let here = self.input.len().min(usize::try_from(*missing).unwrap_or(usize::MAX));
                self.body.extend_from_slice(&self.input[..here]);
                self.input.advance(here);
                *missing -= here as u64;
                if *missing == 0 {
                    return Ok(true);
                }
            }
            Framing::Chunked(chunked) => {
                let had = self.body.len();
                if chunked.decode(&mut self.input, &mut self.body)? {
                    return Ok(true);
                }
                if self.body.len() > had {
                    return Ok(false);
                }
            }
            Framing::UntilClosed => {
                self.body.extend_from_slice(&self.input);
                self.input.clear();
                return match self.read().await {
                    Ok(()) => Ok(false),
                    Err(Failure::Broken(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
                    Err(failure) => Err(failure),
                };
            }
        }
        self.read().await?;
        Ok(false)
    }

    /// Reads at least one more byte of input.
    async fn read(&mut self) -> Result<(), Failure> {
        let stream = self.stream.as_mut().ok_or(Failure::Broken(io::ErrorKind::NotConnected.into()))?;
        self.input.reserve(READ);
        match stream.read_buf(&mut self.input).await.map_err(Failure::Broken)? {
            0 => Err(Failure::Broken(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The head of an answer and its length in bytes, if all of it has arrived.
fn parse_head(input: &[u8]) -> Result<Option<(Head, usize)>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(input)? else { return Ok(None) };
    let status = response.code.ok_or(Failure::Malformed("head"))?;
    let has_none = status == 204 || status == 304;
    let framing = if has_none { Framing::Length(0) } else { Framing::UntilClosed };
    let mut head = Head { status, position: None, framing, closes: false };
    for header in response.headers.iter() {
        let value = str::from_utf8(header.value).unwrap_or_default();
        if header.name.eq_ignore_ascii_case("content-length") {
            head.framing = Framing::Length(value.parse().map_err(|_| Failure::Malformed("content-length"))?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.framing = Framing::Chunked(Chunked::default());
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.closes = value.eq_ignore_ascii_case("close");
        } else if header.name.eq_ignore_ascii_case("rivet-position") {
            head.position = value.parse().ok();
        }
    }
    head.closes |= matches!(head.framing, Framing::UntilClosed);
    Ok(Some((head, length)))
}

fn refusal(status: u16, body: &[u8]) -> Failure {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
    }
    let code =
        serde_json::from_slice::<Problem>(body).map_or_else(|_| "-".to_owned(), |problem| problem.code);
    Failure::Refused { status, code }
}

#[cfg(test)]
mod tests;
