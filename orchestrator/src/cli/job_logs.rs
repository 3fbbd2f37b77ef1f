//! Prints the log of a job: all of it, or as it grows.
//!
//! Following reads the server's stream, and resumes after the last entry whenever it breaks off.

mod printer;

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use futures_util::future::{Either, select};
use futures_util::pin_mut;
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use self::printer::Printer;
use super::client::{Client, refusal, text};
use super::job::{waiting, why};
use super::output::{one_line, tell};
use crate::retry::{Backoff, Verdict};
use crate::sse_reader::SseReader;
use crate::telemetry::chain;

/// Failures in a row that are tried again; after one more it is given up.
const MAX_FAILURES: u32 = 20;
/// A job that waits for longer than this, or for something new after this, is worth a word.
const WAITING_FOR: Duration = Duration::from_secs(2);
/// A server sends something at least every 15 s: one that is silent for longer than this is gone.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// Type of the event that ends a log.
const END: &[u8] = b"end";

/// Prints the log as it is, or only the last entries of it.
pub(super) async fn print(
    client: &Client,
    job: &str,
    last: Option<NonZeroU32>,
    json: bool,
) -> anyhow::Result<()> {
    let mut printer = Printer::new(json);
    match last {
        Some(count) => printer.print_last(client, job, count).await?,
        None => while printer.print_page(client, job).await? {},
    }
    Ok(())
}

/// Prints the log as it is, or only the last entries of it, and goes on as it grows, until the job has ended; says on
/// stderr how it ended.
pub(super) async fn follow(
    client: &Client,
    job: &str,
    last: Option<NonZeroU32>,
    json: bool,
) -> anyhow::Result<()> {
    let mut printer = Printer::new(json);
    if let Some(count) = last {
        printer.print_last(client, job, count).await?;
    }
    let end = follow_with(printer, client, job).await?;
    tell(&outcome(job, &end));
    Ok(())
}

/// Follows the log of a new job, whose id it says on stderr; an error unless the job succeeds. That is found out also
/// if the reader of the output, who has seen enough, has closed it.
pub(super) async fn follow_to_success(client: &Client, job: &str, json: bool) -> anyhow::Result<()> {
    tell(&format!("job {job}"));
    let end = follow_with(Printer::outliving_its_reader(json), client, job).await?;
    let outcome = outcome(job, &end);
    ensure!(text(&end, "status") == "Succeeded", outcome);
    tell(&outcome);
    Ok(())
}

/// How a job ended, and why, for people.
fn outcome(job: &str, end: &Value) -> String {
    let why = match why(end, end) {
        "-" => String::new(),
        why => format!(": {}", one_line(why)),
    };
    format!("job {job} is {}{why}", text(end, "status"))
}

/// Returns how the job ended: its status, its reason and its error message.
async fn follow_with(mut printer: Printer, client: &Client, job: &str) -> anyhow::Result<Value> {
    let following = until_ended(client, job, &mut printer);
    let telling = tell_waiting(client, job);
    pin_mut!(following, telling);
    match select(following, telling).await {
        Either::Left((ended, _)) => ended,
        Either::Right(((), following)) => following.await,
    }
}

/// Says on stderr what the job waits for, whenever that changes, for as long as it waits.
async fn tell_waiting(client: &Client, job: &str) {
    let mut told = String::new();
    loop {
        sleep(WAITING_FOR).await;
        let Ok(job) = client.get(&["jobs", job], &[]).await else { continue };
        if text(&job, "status") != "Queued" {
            return;
        }
        let waiting = waiting(&job["waiting"]);
        if job["waiting"].is_object() && waiting != told {
            tell(&format!("waiting: {}", one_line(&waiting)));
            told = waiting;
        }
    }
}

/// Follows again whenever the stream breaks off, until the job has ended or too many streams in a row failed.
async fn until_ended(client: &Client, job: &str, printer: &mut Printer) -> anyhow::Result<Value> {
    let mut patience = Patience::new();
    loop {
        if let Some(end) = patience.judge(follow_stream(client, job, printer).await)? {
            return Ok(end);
        }
        sleep(patience.backoff.pause(None)).await;
    }
}

/// How often, and after which pauses, a stream that breaks off is opened again.
struct Patience {
    /// Failures in a row.
    failures: u32,
    backoff: Backoff,
}

impl Patience {
    fn new() -> Self {
        Self { failures: 0, backoff: Backoff::new() }
    }

    /// How the job ended, if it did; an error if following again is of no use.
    fn judge(&mut self, outcome: Result<Outcome, Failure>) -> anyhow::Result<Option<Value>> {
        match outcome {
            Ok(Outcome::Ended(end)) => return Ok(Some(end)),
            Ok(Outcome::BrokenOff) => *self = Self::new(),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(error)) if self.failures == MAX_FAILURES => return Err(error),
            Err(Failure::Passing(error)) => {
                if self.failures == 0 {
                    tell(&format!("{}; trying again", chain(error.as_ref())));
                }
                self.failures += 1;
            }
        }
        Ok(None)
    }
}

enum Outcome {
    /// The job has ended so, and everything is printed.
    Ended(Value),
    /// The stream broke off after it had sent something.
    BrokenOff,
}

enum Failure {
    /// Trying again is of no use.
    Final(anyhow::Error),
    /// The server may come back.
    Passing(anyhow::Error),
}

async fn follow_stream(client: &Client, job: &str, printer: &mut Printer) -> Result<Outcome, Failure> {
    let request = client
        .request(Method::GET, &["jobs", job, "logs", "stream"])
        .header("Accept", "text/event-stream")
        .header("Last-Event-ID", printer.last);
    let answer = timeout(LONGEST_SILENCE, client.answer(request)).await;
    let response = answer.context("the server does not answer").flatten().map_err(Failure::Passing)?;
    let (status, headers) = (response.status(), response.headers().clone());
    if status.is_success() {
        return read_stream(response, printer).await;
    }
    let body = response.bytes().await.unwrap_or_default();
    let error = anyhow::Error::msg(refusal(status, &headers, &body));
    Err(if may_pass(status, &body) { Failure::Passing(error) } else { Failure::Final(error) })
}

/// Whether a refusal may pass.
fn may_pass(status: StatusCode, body: &[u8]) -> bool {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    Verdict::of(status.as_u16(), problem["code"].as_str()) == Verdict::TryAgain
}

async fn read_stream(mut response: Response, printer: &mut Printer) -> Result<Outcome, Failure> {
    let (mut reader, mut heard) = (SseReader::new(), 0);
    let (mut outcome, mut end) = (Ok(()), None);
    while let Ok(Ok(Some(chunk))) = timeout(LONGEST_SILENCE, response.chunk()).await {
        reader.push(&chunk, |frame| {
            heard += 1;
            let Ok(data) = serde_json::from_slice::<Value>(frame.data) else { return };
            if frame.event == END {
                end = Some(data);
            } else if end.is_none() && outcome.is_ok() {
                outcome = printer.print(&data, frame.number().or(data["index"].as_u64()));
            }
        });
        if let Err(error) = outcome {
            return Err(Failure::Final(error.into()));
        }
        if let Some(end) = end {
            return Ok(Outcome::Ended(end));
        }
    }
    // The first frame only opens the stream.
    if heard > 1 {
        Ok(Outcome::BrokenOff)
    } else {
        Err(Failure::Passing(anyhow!("the log broke off at once")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_always_breaks_off_at_once_is_given_up() {
        let mut patience = Patience::new();
        let mut fails = || patience.judge(Err(Failure::Passing(anyhow!("broken off")))).is_err();
        assert!((0..MAX_FAILURES).all(|_| !fails()) && fails());
        // One that has sent something begins anew.
        assert!(patience.judge(Ok(Outcome::BrokenOff)).is_ok());
        let mut fails = || patience.judge(Err(Failure::Passing(anyhow!("broken off")))).is_err();
        assert!((0..MAX_FAILURES).all(|_| !fails()) && fails());
    }

    #[test]
    fn what_a_proxy_answers_while_a_server_restarts_may_pass() {
        for status in [404, 405, 408, 425, 429, 500, 502, 503] {
            assert!(may_pass(StatusCode::from_u16(status).unwrap(), b"<html>"), "{status}");
        }
        assert!(!may_pass(StatusCode::NOT_FOUND, br#"{"code": "job_not_found"}"#));
        for status in [302, 400, 401] {
            assert!(!may_pass(StatusCode::from_u16(status).unwrap(), b""), "{status}");
        }
    }
}
