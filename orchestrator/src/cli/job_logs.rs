//! Prints the log of a job: all of it, or as it grows.
//!
//! Following reads the server's stream, and resumes after the last entry whenever it breaks off.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, anyhow, bail, ensure};
use futures_util::future::{Either, select};
use futures_util::pin_mut;
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::client::{Client, items, refusal, text};
use super::is_broken_pipe;
use super::job::{waiting, why};
use super::output::{last_written, one_line, printable, write_json};
use crate::sse_reader::SseReader;
use crate::telemetry::{chain, colours};

/// Entries that are read at a time.
const PAGE: &str = "1000";
/// Shortest and longest pause before a stream that broke off is opened again; pauses double in between.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// Failures in a row that are tried again; after one more it is given up.
const MAX_FAILURES: u32 = 20;
/// A job that waits for longer than this, or for something new after this, is worth a word.
const WAITING_FOR: Duration = Duration::from_secs(2);
/// A server sends something at least every 15 s: one that is silent for longer than this is gone.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// Type of the event that ends a log.
const END: &[u8] = b"end";

/// Prints the log as it is.
pub(super) async fn print(client: &Client, job: &str, json: bool) -> anyhow::Result<()> {
    let mut printer = Printer::new(json);
    while printer.print_page(client, job).await? {}
    Ok(())
}

/// Prints the log as it is and as it grows, until the job has ended, and returns how it ended: its status, its reason
/// and its error message.
pub(super) async fn follow(client: &Client, job: &str, json: bool) -> anyhow::Result<Value> {
    follow_with(&mut Printer::new(json), client, job).await
}

async fn follow_with(printer: &mut Printer, client: &Client, job: &str) -> anyhow::Result<Value> {
    let following = until_ended(async || follow_stream(client, job, printer).await, pause);
    let telling = tell_waiting(client, job);
    pin_mut!(following, telling);
    match select(following, telling).await {
        Either::Left((ended, _)) => ended,
        Either::Right(((), following)) => following.await,
    }
}

/// Follows the log like [`follow`]; an error unless the job succeeded. That is found out also if the reader of the
/// output, who has seen enough, has closed it.
pub(super) async fn follow_to_success(client: &Client, job: &str, json: bool) -> anyhow::Result<()> {
    let mut printer = Printer::new(json);
    let mut ended = follow_with(&mut printer, client, job).await;
    if ended.as_ref().is_err_and(is_broken_pipe) {
        printer.is_silent = true;
        ended = follow_with(&mut printer, client, job).await;
    }
    let end = ended?;
    let status = text(&end, "status");
    ensure!(status == "Succeeded", "job {job} is {status}: {}", one_line(why(&end, &end)));
    Ok(())
}

/// Says on stderr what the job waits for, whenever that changes, for as long as it waits.
#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
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
            eprintln!("waiting: {waiting}");
            told = waiting;
        }
    }
}

/// Follows again whenever the stream breaks off, until the job has ended or too many streams in a row failed.
#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
async fn until_ended(
    mut follow: impl AsyncFnMut() -> Result<Outcome, Failure>,
    pause: impl Fn(u32) -> Duration,
) -> anyhow::Result<Value> {
    let mut failures = 0;
    loop {
        match follow().await {
            Ok(Outcome::Ended(end)) => return Ok(end),
            Ok(Outcome::BrokenOff) => failures = 0,
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(error)) if failures == MAX_FAILURES => return Err(error),
            Err(Failure::Passing(error)) => {
                if failures == 0 {
                    eprintln!("{}; trying again", chain(error.as_ref()));
                }
                failures += 1;
            }
        }
        sleep(pause(failures)).await;
    }
}

/// The pause before the stream is opened again, after so many failures in a row.
fn pause(failures: u32) -> Duration {
    LAST_PAUSE.min(FIRST_PAUSE * 2_u32.saturating_pow(failures))
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
    let status = response.status();
    if status.is_success() {
        return read_stream(response, printer).await;
    }
    let body = response.bytes().await.unwrap_or_default();
    let error = anyhow::Error::msg(refusal(status, &body));
    Err(if status.is_server_error() { Failure::Passing(error) } else { Failure::Final(error) })
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

/// Prints entries, each of them once.
struct Printer {
    json: bool,
    colours: bool,
    /// Whether it prints nothing any more.
    is_silent: bool,
    /// Index of the last entry that was printed.
    last: u64,
}

impl Printer {
    fn new(json: bool) -> Self {
        Self { json, colours: colours(&io::stdout()), is_silent: false, last: 0 }
    }

    /// Prints the next page, and says whether there was one.
    async fn print_page(&mut self, client: &Client, job: &str) -> anyhow::Result<bool> {
        let after = self.last.to_string();
        let page = client.get(&["jobs", job, "logs"], &[("after", &after), ("limit", PAGE)]).await?;
        for entry in items(&page) {
            self.print(entry, entry["index"].as_u64())?;
        }
        if !items(&page).is_empty() && self.last.to_string() == after {
            bail!("the entries of the log have no index: this is an older server");
        }
        Ok(!items(&page).is_empty())
    }

    fn print(&mut self, entry: &Value, index: Option<u64>) -> io::Result<()> {
        if index.is_some_and(|index| index <= self.last) {
            return Ok(());
        }
        self.last = index.unwrap_or(self.last);
        if self.is_silent {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if self.json {
            return write_json(&mut out, entry);
        }
        let level = text(entry, "level");
        let style = if self.colours { style(level) } else { Style::new() };
        let time = entry["timestamp"].as_str().and_then(|time| time.get(11..19)).unwrap_or_default();
        // An empty message is an empty line.
        for line in entry["message"].as_str().unwrap_or_default().trim_end().split('\n') {
            writeln!(out, "{time} {style}{level:<7}{style:#} {}", printable(last_written(line)))?;
        }
        out.flush()
    }
}

fn style(level: &str) -> Style {
    match level {
        "Error" => AnsiColor::Red.on_default(),
        "Warning" => AnsiColor::Yellow.on_default(),
        "Debug" => AnsiColor::BrightBlack.on_default(),
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_that_always_breaks_off_at_once_is_given_up() {
        let mut times = 0;
        let follow = async || {
            times += 1;
            // The third stream sent something, so the failures are counted anew.
            if times == 3 { Ok(Outcome::BrokenOff) } else { Err(Failure::Passing(anyhow!("broken off"))) }
        };
        let error = until_ended(follow, |_| Duration::ZERO).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), times), ("broken off", 3 + MAX_FAILURES + 1));
    }
}
