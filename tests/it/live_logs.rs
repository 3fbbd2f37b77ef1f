//! The live log of a job: it resumes at any entry, through restarts and attempts, and ends when the job has ended.

use std::time::Duration;

use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{
    UNKNOWN, entry, failure, launched, new_claimed_job, new_job, new_pipeline_with, success,
};
use rivet_tests::server::{Server, TestApp};
use rivet_tests::sse::{EventStream, Message};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::eventually;
use serde_json::{Value, json};
use tokio::time::timeout;

/// Longer than a stream takes to end.
const PATIENCE: Duration = Duration::from_mins(2);

on_both_stores! {
    a_stream_goes_on_after_any_entry,
    a_running_job_is_followed_to_its_end,
    an_ended_job_is_told_whole_and_its_readers_do_not_come_again,
    a_job_that_never_ran_is_followed_to_its_end,
    a_job_that_ends_while_its_log_is_read_is_followed_to_its_end,
    a_retried_job_is_followed_through_its_attempts,
    an_entry_is_one_event_whatever_is_in_it,
    a_reader_goes_on_after_a_restart,
    a_slow_reader_gets_a_long_log_whole,
    what_is_not_there_is_refused,
}

fn path(job: &str) -> String {
    format!("/api/jobs/{job}/logs/stream")
}

fn lines(range: impl IntoIterator<Item = usize>) -> Value {
    range.into_iter().map(|number| entry(&format!("line {number}"))).collect()
}

/// Asserts that a stream has sent these entries of a log, each with its index.
#[track_caller]
fn assert_entries(messages: &[Message], log: &[Value]) {
    let streamed: Vec<Value> = messages.iter().map(Message::json).collect();
    assert_eq!(streamed, log);
    for message in messages {
        assert_eq!(message.json()["index"], message.number());
        assert_eq!(message.event, "message");
    }
}

#[track_caller]
fn assert_end(message: &Message, status: &str) {
    assert_eq!((message.event.as_str(), message.id.as_str()), ("end", "end"));
    assert_eq!(message.json()["status"], status);
}

async fn log(api: &Client, job: &str) -> Vec<Value> {
    api.logs(job).await.expect(200).as_array().unwrap().clone()
}

async fn a_stream_goes_on_after_any_entry(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    for batch in [0..3, 3..4, 4..9] {
        api.append_logs(&job, &lines(batch)).await.expect(201);
    }
    let stored = log(&api, &job).await;
    for after in 0..stored.len() {
        let expected = &stored[after..];
        let mut asked = EventStream::open(&api, &format!("{}?after={after}", path(&job))).await;
        assert_entries(&asked.take(expected.len()).await, expected);
        let mut resumed = EventStream::resume(&api, &path(&job), &after.to_string()).await;
        assert_entries(&resumed.take(expected.len()).await, expected);
    }
}

async fn a_running_job_is_followed_to_its_end(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let mut streams = Vec::new();
    for number in 0..5 {
        streams.push(EventStream::open(&api, &path(&job)).await);
        api.append_logs(&job, &lines(number * 10..number * 10 + 10)).await.expect(201);
    }
    api.complete(&job, &success()).await.expect(204);
    let stored = log(&api, &job).await;
    for mut stream in streams {
        let messages = stream.rest().await;
        let (end, entries) = messages.split_last().unwrap();
        assert_entries(entries, &stored);
        assert_end(end, "Succeeded");
    }
}

async fn an_ended_job_is_told_whole_and_its_readers_do_not_come_again(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    api.append_logs(&job, &lines(0..4)).await.expect(201);
    api.complete(&job, &failure()).await.expect(204);
    let messages = EventStream::open(&api, &path(&job)).await.rest().await;
    let (end, entries) = messages.split_last().unwrap();
    assert_entries(entries, &log(&api, &job).await);
    assert_end(end, "Failed");
    let resumed = EventStream::resume(&api, &path(&job), "3").await.rest().await;
    assert_eq!(resumed.len(), 2);
    assert_end(&resumed[1], "Failed");
    // By the specification, 204 tells a browser to stop.
    api.with("last-event-id", "end").get(&path(&job)).await.expect(204);
}

async fn a_job_that_never_ran_is_followed_to_its_end(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job(&api).await;
    let mut stream = EventStream::open(&api, &path(&job)).await;
    api.cancel(&job).await.expect(204);
    let messages = stream.rest().await;
    assert_eq!(messages.len(), 1);
    assert_end(&messages[0], "Cancelled");
}

async fn a_job_that_ends_while_its_log_is_read_is_followed_to_its_end(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    // More than the connection buffers, so the server cannot read all of it before its client has.
    for number in 0..20 {
        let long = format!("{number} {}", "x".repeat(1 << 20));
        api.append_logs(&job, &json!([entry(&long)])).await.expect(201);
    }
    let mut stream = EventStream::open(&api, &path(&job)).await;
    assert_eq!(stream.take(1).await[0].number(), 1);
    api.complete(&job, &success()).await.expect(204);
    api.job(&job).await.expect(200);

    let rest = timeout(PATIENCE, stream.rest()).await.expect("the stream ends");
    assert_eq!(rest.len(), 20);
    assert_end(&rest[19], "Succeeded");
}

async fn a_retried_job_is_followed_through_its_attempts(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline_with(&api, &json!({"max_retries": 1})).await;
    let job = launched(&api, &pipeline).await;
    let mut stream = EventStream::open(&api, &path(&job)).await;
    for (attempt, result) in [(1, failure()), (2, success())] {
        eventually("the attempt to be due", async || {
            (api.claim(&job, "r").await.status == 200).then_some(())
        })
        .await;
        api.append_logs(&job, &lines([attempt])).await.expect(201);
        api.complete(&job, &result).await.expect(204);
    }
    let messages = stream.rest().await;
    let (end, entries) = messages.split_last().unwrap();
    assert_entries(entries, &log(&api, &job).await);
    assert_eq!(entries.iter().map(|entry| entry.json()["attempt"].clone()).collect::<Vec<_>>(), [1, 2]);
    assert_end(end, "Succeeded");
}

async fn an_entry_is_one_event_whatever_is_in_it(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let hostile = [
        "a\nb\r\nc\rd",
        "\u{1b}[31mred\u{1b}[0m\u{7}",
        "nul\0nul",
        "data: x\n\nid: 99\nevent: end\n\n",
        "\u{2028}\u{2029}\u{85}\u{feff}",
        "",
    ];
    api.append_logs(&job, &hostile.iter().copied().map(entry).collect()).await.expect(201);
    api.complete(&job, &success()).await.expect(204);
    let messages = EventStream::open(&api, &path(&job)).await.rest().await;
    let (end, entries) = messages.split_last().unwrap();
    assert_eq!(entries.len(), hostile.len());
    for (entry, sent) in entries.iter().zip(hostile) {
        assert_eq!(entry.json()["message"], sent.replace('\0', "\u{fffd}"));
    }
    assert_end(end, "Succeeded");
}

async fn a_reader_goes_on_after_a_restart(kind: StoreKind) {
    let store = Store::create(kind).await;
    let server = Server::start(&store, &[]).await;
    let job = new_claimed_job(&server.client(), "r").await;
    let mut stream = EventStream::open(&server.client(), &path(&job)).await;
    let mut seen = Vec::new();
    server.client().append_logs(&job, &lines(0..20)).await.expect(201);
    seen.extend(stream.take(7).await);
    let (_, rest) = tokio::join!(server.terminate(), stream.rest());
    seen.extend(rest);
    let server = Server::start(&store, &[]).await;
    let mut stream = EventStream::resume(&server.client(), &path(&job), &stream.last_id).await;
    server.client().append_logs(&job, &lines(20..30)).await.expect(201);
    server.client().complete(&job, &success()).await.expect(204);
    seen.extend(stream.rest().await);
    let end = seen.pop().unwrap();
    assert_entries(&seen, &log(&server.client(), &job).await);
    assert_end(&end, "Succeeded");
}

async fn a_slow_reader_gets_a_long_log_whole(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let mut slow = EventStream::open(&api, &path(&job)).await;
    // As runners of the older dialects send a log: in one batch, at the end.
    api.append_bare_logs(&job, &lines(0..100_000)).await.expect(201);
    api.complete(&job, &success()).await.expect(204);
    let messages = slow.rest().await;
    assert_eq!(messages.len(), 100_001);
    let mut late = EventStream::resume(&api, &path(&job), "50000").await;
    for (messages, first) in [(messages, 1), (late.rest().await, 50_001)] {
        for (message, index) in messages.iter().zip(first..=100_000_u64) {
            assert_eq!(message.number(), index);
            assert_eq!(message.json()["message"], format!("line {}", index - 1));
        }
        assert_end(messages.last().unwrap(), "Succeeded");
    }
}

async fn what_is_not_there_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.get(&path(UNKNOWN)).await.expect_refusal(404, "job_not_found");
    api.with("last-event-id", "end").get(&path(UNKNOWN)).await.expect_refusal(404, "job_not_found");
    let job = new_job(&api).await;
    api.get(&format!("{}?after=-1", path(&job))).await.expect_refusal(400, "invalid_query");
    api.with("last-event-id", "x").get(&path(&job)).await.expect_refusal(400, "invalid_header");
}
