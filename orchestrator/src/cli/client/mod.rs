//! What the commands that ask a server share: requests and the server's reasons for a refusal; ids by their
//! beginnings; tables for people and JSON for programs.

mod ids;
mod table;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::header::{HeaderMap, LINK, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::output::{one_line, write_json};
use crate::server_url::ServerUrl;

pub(super) use ids::{ambiguity, find_pipeline, pipelines_named, shown};
pub(super) use table::{Table, time, time_between};

/// A server that does not accept a connection within this time counts as absent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of a request; one that follows a stream has none.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The position of what a command recorded, which later requests name as the one that their answers must reflect: it
/// may be another replica that answers them.
const POSITION: &str = "Rivet-Position";
const MIN_POSITION: &str = "Rivet-Min-Position";
/// Marks an answer that does not reflect it.
const STALE: &str = "Rivet-Stale";
/// Rows of a list that are read at a time.
const PAGE: usize = 100;

/// Which server, and how its answers are printed. They are understood before and after a subcommand.
#[derive(Debug, Args)]
pub(super) struct ClientOptions {
    /// Server to ask
    #[arg(
        long,
        global = true,
        env = "RIVET_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    server: ServerUrl,

    /// Print what the server answered, as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// Which moment an answer is about; by default the present.
#[derive(Debug, Default, Args)]
pub(super) struct Moment {
    /// Show the state at a position of the log or a time
    #[arg(long, value_name = "MOMENT")]
    at: Option<String>,
}

impl Moment {
    /// How a request names it; `None` for the present.
    pub(super) fn query(&self) -> Option<(&str, &str)> {
        self.at.as_deref().map(|at| ("at", at))
    }
}

/// Sends requests to a server.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    server: ServerUrl,
    /// The highest position in any answer.
    position: AtomicU64,
    /// Whether the user was told of a stale answer.
    told_stale: AtomicBool,
}

impl Client {
    /// A client of the server that the options name.
    pub(super) fn new(options: &ClientOptions) -> anyhow::Result<Self> {
        // A redirection may turn a POST into a GET.
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("rivet-cli/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("the HTTP client cannot be built")?;
        let server = options.server.clone();
        Ok(Self { http, server, position: AtomicU64::new(0), told_stale: AtomicBool::new(false) })
    }

    /// A request to a path below `/api`. The path is given in segments, which may contain any character.
    pub(super) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.http.request(method, self.server.api(path))
    }

    /// The body of a successful GET.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Value> {
        self.send(self.request(Method::GET, path).query(query)).await
    }

    /// The first rows of a list, at most `count`, read page by page.
    pub(super) async fn list(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        count: usize,
    ) -> anyhow::Result<Value> {
        let mut list = Vec::new();
        let mut url = self.server.api(path);
        url.query_pairs_mut().extend_pairs(query).append_pair("limit", &count.min(PAGE).to_string());
        while list.len() < count {
            let (headers, page) = self.exchange(self.http.get(url.clone())).await?;
            list.extend(items(&page).iter().take(count - list.len()).cloned());
            match next_page(&headers) {
                Some(query) => url.set_query(Some(&query)),
                None => break,
            }
        }
        Ok(Value::Array(list))
    }

    /// Sends a request and returns the body of the answer, null where it has none. An error says why the server
    /// refused.
    pub(super) async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        Ok(self.exchange(request).await?.1)
    }

    async fn exchange(&self, request: RequestBuilder) -> anyhow::Result<(HeaderMap, Value)> {
        let response = self.answer(request.timeout(TIMEOUT)).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.context("the answer broke off")?;
        if !status.is_success() {
            bail!(refusal(status, &headers, &body));
        }
        if body.is_empty() {
            return Ok((headers, Value::Null));
        }
        let body =
            serde_json::from_slice(&body).context("the answer is not JSON: is this a Rivet server?")?;
        Ok((headers, body))
    }

    /// Sends a request, and returns with the head of the answer, which reflects what earlier ones have recorded.
    pub(super) async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let request = request.header(MIN_POSITION, self.position.load(Ordering::Relaxed));
        let response = request.send().await.with_context(|| format!("no answer from {}", self.server))?;
        if let Some(position) = position(response.headers()) {
            self.position.fetch_max(position, Ordering::Relaxed);
        }
        if response.headers().contains_key(STALE) && !self.told_stale.swap(true, Ordering::Relaxed) {
            tell_stale();
        }
        Ok(response)
    }
}

#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
fn tell_stale() {
    eprintln!("the server is behind: what it answers may not show the last changes");
}

fn position(headers: &HeaderMap) -> Option<u64> {
    headers.get(POSITION)?.to_str().ok()?.parse().ok()
}

/// The query of the next page, from `Link`. Its path is not used, since a proxy may have changed it; it is that of
/// this page.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (address, _) = link.strip_prefix('<')?.split_once(">; rel=\"next\"")?;
    address.split_once('?').map(|(_, query)| query.to_owned())
}

/// Why a server refused, for people; with the code, by which it can be looked up.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    if let Some(location) = headers.get(LOCATION).filter(|_| status.is_redirection()) {
        return format!("the server redirects to {location:?}: give that as --server");
    }
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let member = |name: &str| problem[name].as_str();
    match (member("detail").or(member("error")), member("code")) {
        (Some(detail), Some(code)) => format!("{} ({} {code})", one_line(detail), status.as_u16()),
        (Some(detail), None) => format!("{} ({})", one_line(detail), status.as_u16()),
        (None, _) => format!("the server answered {status}"),
    }
}

/// Prints an answer as JSON on a line.
pub(super) fn print_json(answer: &Value) -> anyhow::Result<()> {
    Ok(write_json(&mut io::stdout().lock(), answer)?)
}

/// A member of an answer that is a text, or a dash where it has none.
pub(super) fn text<'a>(answer: &'a Value, member: &str) -> &'a str {
    answer[member].as_str().filter(|text| !text.is_empty()).unwrap_or("-")
}

/// The items of an answer that is a list.
pub(super) fn items(answer: &Value) -> &[Value] {
    answer.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_refusal_says_why_and_under_which_code() {
        let said = |status, body: &str| refusal(status, &HeaderMap::new(), body.as_bytes());
        let problem = r#"{"detail":"there is no job 1","code":"job_not_found"}"#;
        assert_eq!(said(StatusCode::NOT_FOUND, problem), "there is no job 1 (404 job_not_found)");
        assert_eq!(said(StatusCode::CONFLICT, r#"{"error":"no"}"#), "no (409)");
        assert_eq!(said(StatusCode::BAD_GATEWAY, "<html>"), "the server answered 502 Bad Gateway");
        let elsewhere = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("https://ci/api/jobs"))]);
        assert_eq!(
            refusal(StatusCode::FOUND, &elsewhere, b""),
            "the server redirects to \"https://ci/api/jobs\": give that as --server"
        );
    }
}
