//! What a server answered, and what a test expects of it.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// A response, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// Whether the server refused the command for want of room, without having begun it.
    pub fn has_no_room(&self) -> bool {
        self.status == 503 && self.json()["code"] == "overloaded"
    }

    /// The body as JSON; null if it is empty or something else.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `Rivet-Position`: that of the command's last event.
    #[track_caller]
    pub fn position(&self) -> u64 {
        let position = self.header("rivet-position").and_then(|position| position.parse().ok());
        position.unwrap_or_else(|| panic!("no position in {self:?}"))
    }

    /// The path of the next page, from `Link`.
    pub fn next_page(&self) -> Option<String> {
        let (path, _) = self.header("link")?.strip_prefix('<')?.split_once(">; rel=\"next\"")?;
        Some(path.to_owned())
    }

    /// Asserts the status, and returns the body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// Asserts that this is a refusal with this status and code, and returns the problem: JSON with the member that
    /// old clients print and those that RFC 9457 requires.
    #[track_caller]
    pub fn expect_refusal(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
        self.assert_problem();
        problem
    }

    /// Asserts that this is a refusal in the form of a problem.
    #[track_caller]
    pub fn assert_problem(&self) {
        let problem = self.json();
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        for member in ["error", "code", "type", "title", "detail"] {
            assert!(
                problem[member].as_str().is_some_and(|text| !text.is_empty()),
                "no {member} in {problem}"
            );
        }
        assert_eq!(problem["status"], self.status, "{problem}");
    }
}
