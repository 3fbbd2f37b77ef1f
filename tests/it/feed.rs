//! The feed of all events: read, waited for, followed and resumed, without a gap or a repetition.

use std::time::{Duration, Instant};

use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{entry, history, launched, new_claimed_job, new_job, new_pipeline, success};
use rivet_tests::server::{Server, TestApp};
use rivet_tests::sse::{EventStream, Message};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::events;
use serde_json::{Value, json};

on_both_stores! {
    a_stream_goes_on_after_any_position,
    a_stream_without_a_start_begins_now,
    a_stream_and_a_list_have_the_same_events,
    filters_agree_on_what_they_let_pass,
    a_list_moves_past_what_its_filter_skips,
    a_long_poll_waits_for_what_it_wants,
    a_slow_reader_loses_nothing,
    a_reader_goes_on_after_a_restart,
    events_come_as_cloud_events_on_request,
    what_cannot_be_a_start_is_refused,
}

const STREAM: &str = "/api/events/stream";

async fn new_logged_job(api: &Client) -> String {
    let job = new_claimed_job(api, "r").await;
    api.append_logs(&job, &json!([entry("a"), entry("b")])).await.expect(201);
    api.complete(&job, &success()).await.expect(204);
    job
}

fn positions(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(Message::number).collect()
}

async fn a_stream_goes_on_after_any_position(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    new_logged_job(&api).await;
    let head = u64::try_from(events(&api).await.len()).unwrap();
    for after in 0..head {
        let expected: Vec<u64> = (after + 1..=head).collect();
        let mut asked = EventStream::open(&api, &format!("{STREAM}?after={after}")).await;
        assert_eq!(positions(&asked.take(expected.len()).await), expected);
        // The id overrides `after`, since a browser reconnects to the URL that it opened first.
        let mut resumed = EventStream::resume(&api, &format!("{STREAM}?after=0"), &after.to_string()).await;
        assert_eq!(positions(&resumed.take(expected.len()).await), expected);
    }
    // A stream at the head sends nothing until there is a new event.
    let mut at_head = EventStream::resume(&api, STREAM, &head.to_string()).await;
    api.register("another", &[]).await.expect(200);
    assert_eq!(positions(&at_head.take(1).await), [head + 1]);
}

async fn a_stream_without_a_start_begins_now(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    new_logged_job(&api).await;
    let head = u64::try_from(events(&api).await.len()).unwrap();
    let mut stream = EventStream::open(&api, STREAM).await;
    let job = new_job(&api).await;
    let first = stream.take(2).await;
    assert_eq!(positions(&first), [head + 1, head + 2]);
    assert_eq!(first[1].json()["stream_id"], job);
    // The stream sends the id to come back with before its first event.
    let mut silent = EventStream::open(&api, &format!("{STREAM}?type=pipeline.deleted")).await;
    api.delete("/api/pipeline/00000000-0000-7000-8000-000000000000").await.expect(404);
    let pipeline = new_pipeline(&api).await;
    api.delete(&format!("/api/pipeline/{pipeline}")).await.expect(204);
    assert_eq!(silent.take(1).await[0].json()["type"], "pipeline.deleted");
}

async fn a_stream_and_a_list_have_the_same_events(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    new_logged_job(&api).await;
    let listed = events(&api).await;
    let mut stream = EventStream::open(&api, &format!("{STREAM}?after=0")).await;
    let streamed: Vec<Value> = stream.take(listed.len()).await.iter().map(Message::json).collect();
    assert_eq!(streamed, listed);
}

async fn filters_agree_on_what_they_let_pass(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_logged_job(&api).await;
    let other = new_logged_job(&api).await;
    let pipeline = api.job(&job).await.expect(200)["pipeline_id"].as_str().unwrap().to_owned();
    let all = events(&api).await;
    let of = |wanted: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        all.iter().filter(|event| wanted(event)).cloned().collect()
    };
    let cases = [
        ("type=job.launched".to_owned(), of(&|event| event["type"] == "job.launched")),
        (
            "type=job.launched,%20job.completed".to_owned(),
            of(&|event| event["type"] == "job.launched" || event["type"] == "job.completed"),
        ),
        ("stream_type=job_log".to_owned(), of(&|event| event["stream_type"] == "job_log")),
        (format!("stream_id={job}"), of(&|event| event["stream_id"] == job.as_str())),
        (
            format!("stream_type=job&stream_id={other}"),
            of(&|event| event["stream_type"] == "job" && event["stream_id"] == other.as_str()),
        ),
        (
            format!("pipeline_id={pipeline}"),
            of(&|event| event["payload"]["pipeline_id"] == pipeline.as_str()),
        ),
        (
            format!("pipeline_id={pipeline}&type=job.claimed"),
            of(&|event| {
                event["payload"]["pipeline_id"] == pipeline.as_str() && event["type"] == "job.claimed"
            }),
        ),
    ];
    for (query, expected) in cases {
        assert!(!expected.is_empty(), "{query}");
        let page = api.get(&format!("/api/events?{query}")).await.expect(200);
        assert_eq!(page["events"], json!(expected), "{query}");
        assert_eq!(page["next"], page["head"]);
        let mut stream = EventStream::open(&api, &format!("{STREAM}?after=0&{query}")).await;
        let streamed: Vec<Value> = stream.take(expected.len()).await.iter().map(Message::json).collect();
        assert_eq!(streamed, expected, "{query}");
    }
    api.get("/api/events?stream_type=jobs").await.expect_refusal(400, "invalid_query");
    // Another build may know a type that this one does not.
    let unknown = api.get("/api/events?type=job.unheard_of").await.expect(200);
    assert_eq!((&unknown["events"], &unknown["next"]), (&json!([]), &unknown["head"]));
    api.get("/api/events?pipeline_id=1").await.expect_refusal(400, "invalid_query");
}

async fn a_list_moves_past_what_its_filter_skips(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    for _ in 0..3 {
        launched(&api, &pipeline).await;
    }
    let head = u64::try_from(events(&api).await.len()).unwrap();
    let get = async |query: &str| api.get(&format!("/api/events?{query}")).await.expect(200);
    let page = get("type=pipeline.deleted&after=1").await;
    assert_eq!((&page["events"], &page["next"], &page["head"]), (&json!([]), &json!(head), &json!(head)));
    let mut after = 0;
    for _ in 0..3 {
        let page = get(&format!("type=job.launched&limit=1&after={after}")).await;
        assert_eq!(page["events"].as_array().unwrap().len(), 1);
        after = page["next"].as_u64().unwrap();
        assert_eq!(page["events"][0]["position"], after);
    }
    let beyond = get("after=1000").await;
    assert_eq!((&beyond["next"], &beyond["head"]), (&json!(1000), &json!(head)));
}

async fn a_long_poll_waits_for_what_it_wants(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let head = events(&api).await.len();
    let poll = async {
        api.get(&format!("/api/events?after={head}&type=job.cancelled&wait_ms=30000")).await.expect(200)
    };
    let act = async {
        let job = launched(&api, &pipeline).await;
        api.cancel(&job).await.expect(204);
        job
    };
    let (page, job) = tokio::join!(poll, act);
    assert_eq!(page["events"][0]["type"], "job.cancelled");
    assert_eq!(page["events"][0]["stream_id"], job);
    let started = Instant::now();
    let head = page["head"].as_u64().unwrap();
    let empty = api.get(&format!("/api/events?after={head}&wait_ms=200")).await.expect(200);
    assert_eq!(empty, json!({"events": [], "next": head, "head": head}));
    assert!(started.elapsed() >= Duration::from_millis(200));
}

async fn a_slow_reader_loses_nothing(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let head = u64::try_from(events(&api).await.len()).unwrap();
    let mut slow = EventStream::open(&api, STREAM).await;
    // Far more than the buffers of the connection and the server's cache of recent events hold.
    let line = "x".repeat(250_000);
    for _ in 0..100 {
        api.append_logs(&job, &json!([entry(&line), entry(&line)])).await.expect(201);
    }
    api.complete(&job, &success()).await.expect(204);
    let mut expected = head;
    loop {
        let message = slow.next().await.expect("the stream goes on");
        expected += 1;
        assert_eq!(message.number(), expected);
        if message.json()["type"] == "job.completed" {
            break;
        }
    }
}

async fn a_reader_goes_on_after_a_restart(kind: StoreKind) {
    let store = Store::create(kind).await;
    let server = Server::start(&store, &["--drain-timeout", "10m"]).await;
    let mut reader = EventStream::open(&server.client(), &format!("{STREAM}?after=0")).await;
    new_logged_job(&server.client()).await;
    let mut seen = reader.take(3).await;
    // A stopping server does not wait for its readers.
    let (stopped, rest) = tokio::join!(server.terminate(), reader.rest());
    assert!(stopped.success(), "{stopped:?}");
    seen.extend(rest);
    let server = Server::start(&store, &[]).await;
    new_logged_job(&server.client()).await;
    let mut reader = EventStream::resume(&server.client(), STREAM, &reader.last_id).await;
    let head = events(&server.client()).await.len();
    seen.extend(reader.take(head - seen.len()).await);
    assert_eq!(positions(&seen), (1..=u64::try_from(head).unwrap()).collect::<Vec<_>>());
}

async fn events_come_as_cloud_events_on_request(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_logged_job(&api).await;
    let accepting = api.with("accept", "text/html, application/cloudevents-batch+json;q=0.9");
    let answer = accepting.get("/api/events?type=job.claimed,job.completed&limit=1").await;
    let batch = answer.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/cloudevents-batch+json"));
    let (_, events) = history(&api, &job).await;
    let claimed = &events[1];
    assert_eq!(
        batch,
        json!([{
            "specversion": "1.0",
            "id": claimed["event_id"],
            "source": "urn:rivet:log",
            "type": "job.claimed",
            "subject": format!("job/{job}"),
            "time": claimed["recorded_at"],
            "datacontenttype": "application/json",
            "dataschema": "urn:rivet:event:job.claimed:1",
            "sequence": format!("{:020}", claimed["position"].as_u64().unwrap()),
            "correlationid": claimed["metadata"]["correlation_id"],
            "actor": "runner:r",
            "data": claimed["payload"],
        }])
    );
    let next = accepting.get(&answer.next_page().expect("there is more")).await.expect(200);
    assert_eq!(next[0]["type"], "job.completed");
    let never = api.with("accept", "application/cloudevents-batch+json; Q=0.0, application/json");
    assert!(never.get("/api/events").await.expect(200)["events"].is_array());
}

async fn what_cannot_be_a_start_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    for path in ["/api/events", STREAM] {
        api.get(&format!("{path}?after=x")).await.expect_refusal(400, "invalid_query");
        api.get(&format!("{path}?after={}", u64::MAX)).await.expect_refusal(400, "invalid_query");
    }
    api.with("last-event-id", "x").get(STREAM).await.expect_refusal(400, "invalid_header");
    api.get("/api/events?limit=0").await.expect_refusal(400, "invalid_query");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_may_change_replicas() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let mut reader = EventStream::open(&other, &format!("{STREAM}?after=0")).await;
    new_logged_job(&one).await;
    let mut seen = reader.take(4).await;
    new_logged_job(&other).await;
    reader = EventStream::resume(&one, STREAM, &reader.last_id).await;
    let head = events(&one).await.len();
    seen.extend(reader.take(head - seen.len()).await);
    assert_eq!(positions(&seen), (1..=u64::try_from(head).unwrap()).collect::<Vec<_>>());
}
