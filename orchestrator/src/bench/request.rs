//! Request templates: bytes that are prepared once. What differs from one job to the next is filled in when they are
//! sent.

use std::io::Write;
use std::rc::Rc;

use rivet_events::id::{JobId, LeaseId};

use super::http::Target;

const JOB: &str = "{job}";
const LEASE: &str = "{lease}";
const NUMBER: &str = "{number}";

/// The values to fill in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fill {
    /// The job.
    pub(super) job: Option<JobId>,
    /// The lease of its attempt.
    pub(super) lease: Option<LeaseId>,
    /// An offset or a position.
    pub(super) number: u64,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Job,
    Lease,
    Number,
}

/// A template of a request. Clones share its bytes.
#[derive(Debug, Clone)]
pub(super) struct Request {
    head: Rc<[Piece]>,
    body: Rc<[u8]>,
}

impl Request {
    /// A request without a body. The path, relative to the server's base path, may have the placeholders `{job}`,
    /// `{lease}` and `{number}`.
    pub(super) fn new(target: &Target, method: &str, path: &str) -> Self {
        Self::with_headers(target, method, path, "", None)
    }

    /// A request with a JSON body.
    pub(super) fn json(target: &Target, method: &str, path: &str, body: &str) -> Self {
        Self::with_headers(target, method, path, "", Some(body))
    }

    /// A request with further header lines, each with its line end, which may have the same placeholders as the path.
    pub(super) fn with_headers(
        target: &Target,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<&str>,
    ) -> Self {
        let Target { host, base, .. } = target;
        let agent = concat!("rivet-bench/", env!("CARGO_PKG_VERSION"));
        let of_body = body.map_or_else(String::new, |body| {
            format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len())
        });
        let head = format!(
            "{method} {base}{path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {agent}\r\n{headers}{of_body}\r\n"
        );
        Self { head: pieces(&head).into(), body: body.unwrap_or_default().as_bytes().into() }
    }

    /// Appends the bytes of the request to `out`.
    pub(super) fn write(&self, fill: Fill, out: &mut Vec<u8>) {
        for piece in self.head.iter() {
            let written = match piece {
                Piece::Text(text) => out.write_all(text.as_bytes()),
                Piece::Job => fill.job.map_or(Ok(()), |job| write!(out, "{job}")),
                Piece::Lease => fill.lease.map_or(Ok(()), |lease| write!(out, "{lease}")),
                Piece::Number => write!(out, "{}", fill.number),
            };
            written.expect("invariant: memory takes what is written");
        }
        out.extend_from_slice(&self.body);
    }
}

fn pieces(mut text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while let Some(start) = text.find('{') {
        pieces.push(Piece::Text(text[..start].to_owned()));
        text = &text[start..];
        let (piece, name) = if text.starts_with(JOB) {
            (Piece::Job, JOB)
        } else if text.starts_with(LEASE) {
            (Piece::Lease, LEASE)
        } else if text.starts_with(NUMBER) {
            (Piece::Number, NUMBER)
        } else {
            (Piece::Text("{".to_owned()), "{")
        };
        pieces.push(piece);
        text = &text[name.len()..];
    }
    pieces.push(Piece::Text(text.to_owned()));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_differs_is_filled_in() {
        let target = Target::resolve(&"http://127.0.0.1:1/rivet/".parse().unwrap()).await.unwrap();
        let path = "/api/jobs/{job}/logs";
        let headers = "rivet-lease: {lease}\r\nrivet-log-offset: {number}\r\n";
        let request = Request::with_headers(&target, "POST", path, headers, Some("[\"{job}\"]"));
        let (job, lease) = (JobId::generate(), LeaseId::generate());
        let mut bytes = Vec::new();
        request.write(Fill { job: Some(job), lease: Some(lease), number: 20 }, &mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with(&format!("POST /rivet/api/jobs/{job}/logs HTTP/1.1\r\nhost: 127.0.0.1:1\r\n"))
        );
        assert!(text.contains(&format!("\r\nrivet-lease: {lease}\r\nrivet-log-offset: 20\r\n")));
        assert!(text.ends_with("\r\ncontent-length: 9\r\n\r\n[\"{job}\"]"), "a body is sent as it is");
    }
}
