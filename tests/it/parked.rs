//! Parked streams: listed, retried, and continued without the event.

use rivet_events::id::{JobId, PipelineId};
use rivet_events::job::{JobEvent, JobTimedOut};
use rivet_events::{Event, StreamId, StreamType};
use rivet_tests::client::Client;
use rivet_tests::history::unreadable;
use rivet_tests::life;
use rivet_tests::on_both_stores;
use rivet_tests::process::Process;
use rivet_tests::sample::new_job;
use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::{rebuild_all, recorded, verify};
use rivet_tests::wait::eventually;
use serde_json::{Value, json};

on_both_stores! {
    a_parked_stream_is_listed_with_what_is_wrong,
    a_job_that_cannot_be_read_holds_up_none_behind_it,
    a_retry_tries_the_event_again_and_says_who_wanted_it,
    a_skipped_event_is_left_out_for_good,
    a_skip_that_was_not_carried_out_is_made_up_for_at_the_start,
    what_is_not_parked_is_refused,
    a_stream_of_an_unknown_kind_parks_nothing,
}

/// The read models that use job streams.
const OF_JOBS: [&str; 6] = ["job_flow", "job_queue", "jobs", "lifetimes", "pipeline_activity", "runners"];

/// A store whose log has only this stream.
async fn store_with(kind: StoreKind, stream: StreamId, events: Vec<Event>) -> Store {
    let store = Store::create(kind).await;
    store.append(&[(stream, events)], 1).await;
    store
}

/// A store whose log has a job that was launched, has an event of a type that no build knows, and timed out.
async fn poisoned(kind: StoreKind) -> (Store, String) {
    let (job_id, pipeline_id) = (JobId::generate(), PipelineId::generate());
    let now = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let timed_out = JobTimedOut {
        job_id,
        pipeline_id,
        runner_id: None,
        attempt: 0,
        result: None,
        reason: "queue_timeout".to_owned(),
        timed_out_at: now,
    };
    let events = vec![
        Event::Job(life::launched(job_id, pipeline_id, now)),
        unreadable("job.teleported"),
        Event::Job(JobEvent::TimedOut(timed_out)),
    ];
    (store_with(kind, StreamId::job(job_id), events).await, job_id.to_string())
}

async fn parked(api: &Client, projection: &str) -> Value {
    api.get(&format!("/api/projections/{projection}/parked")).await.expect(200)
}

/// Waits until a read model is live at the head of the log, and none of its other generations are left.
async fn settled(api: &Client, projection: &str) -> Value {
    eventually("the read model to be rebuilt", async || {
        let all = api.get("/api/projections").await.expect(200);
        let own: Vec<&Value> = all.as_array()?.iter().filter(|found| found["name"] == projection).collect();
        let [only] = own[..] else { return None };
        (only["state"] == "live" && only["lag_events"] == 0).then(|| only.clone())
    })
    .await
}

async fn skip(api: &Client, projection: &str, job: &str) {
    let path = format!("/api/projections/{projection}/parked/job/{job}/skip");
    api.post(&path, &json!({"reason": "a build that was withdrawn"})).await.expect(202);
    eventually("the stream to be taken up again", async || {
        (parked(api, projection).await == json!([])).then_some(())
    })
    .await;
}

async fn a_parked_stream_is_listed_with_what_is_wrong(kind: StoreKind) {
    let (store, job) = poisoned(kind).await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    for projection in OF_JOBS {
        let list = parked(&api, projection).await;
        let [only] = &list.as_array().unwrap()[..] else { panic!("{projection}: {list}") };
        assert_eq!((&only["stream_type"], &only["stream_id"]), (&json!("job"), &json!(job)));
        assert_eq!(only["position"], 2);
        assert!(only["error"].as_str().unwrap().starts_with("job.teleported cannot be read"), "{only}");
    }
    assert_eq!(parked(&api, "pipelines").await, json!([]));
    // The job is shown as it was before that event.
    assert_eq!(api.job(&job).await.expect(200)["status"], "Queued");
}

async fn a_job_that_cannot_be_read_holds_up_none_behind_it(kind: StoreKind) {
    let (store, unreadable) = poisoned(kind).await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    let job = new_job(&api).await;
    assert_eq!(api.job(&unreadable).await.expect(200)["waiting"]["place"], 1);
    assert_eq!(api.claim_next("r", 0).await.expect(200)["job_id"], job);
    api.claim_next("r", 0).await.expect(204);
}

async fn a_retry_tries_the_event_again_and_says_who_wanted_it(kind: StoreKind) {
    let (store, job) = poisoned(kind).await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    let retry = format!("/api/projections/jobs/parked/job/{job}/retry");
    let retried = api.with("user-agent", "operator/1").post(&retry, &json!({"reason": "a new build"})).await;
    retried.expect(202);
    let [event] = &recorded(&api, "projection.stream_retried").await[..] else { panic!("one event") };
    assert_eq!(event["position"], retried.position());
    assert_eq!((&event["stream_type"], &event["stream_id"]), (&json!("projection"), &json!("jobs")));
    assert_eq!(event["payload"]["stream"], format!("job/{job}"));
    assert_eq!(
        (&event["payload"]["position"], &event["payload"]["reason"]),
        (&json!(2), &json!("a new build"))
    );
    assert_eq!(event["metadata"]["user_agent"], "operator/1");
    // The retry changes nothing, since this build does not know the event either.
    assert_eq!(settled(&api, "jobs").await["parked"], 1);
    // Without a body, and with the slash escaped.
    let escaped = format!("/api/projections/jobs/parked/job%2F{job}/retry");
    api.send(api.request(reqwest::Method::POST, &escaped)).await.expect(202);
}

async fn a_skipped_event_is_left_out_for_good(kind: StoreKind) {
    let (store, job) = poisoned(kind).await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    for projection in OF_JOBS {
        skip(&api, projection, &job).await;
    }
    let told = api.job(&job).await.expect(200);
    assert_eq!((&told["status"], &told["reason"]), (&json!("TimedOut"), &json!("queue_timeout")));
    assert_eq!(api.get("/api/stats").await.expect(200)["queued"], 0);
    let then = api.get(&format!("/api/jobs/{job}?at=3")).await.expect(200);
    assert_eq!(then["status"], "TimedOut", "{then}");
    rebuild_all(&api, &store).await;
    assert_eq!(api.job(&job).await.expect(200), told);
    verify(&api, &store).await;
    server.terminate().await;

    let process = Process::over(&store).await;
    let report = process.read_models.verify(|_| {}).await.unwrap();
    assert_eq!(report.differences, vec![]);
}

async fn a_skip_that_was_not_carried_out_is_made_up_for_at_the_start(kind: StoreKind) {
    let (store, job) = poisoned(kind).await;
    let server = Server::start(&store, &[]).await;
    let path = format!("/api/projections/jobs/parked/job/{job}/skip");
    server.client().post(&path, &json!({})).await.expect(202);
    server.kill();
    // Nothing has been heard of its rebuild for long enough.
    store.execute("update checkpoints set updated_at = 0 where state = 'rebuilding'").await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    eventually("the stream to be taken up again", async || {
        (parked(&api, "jobs").await == json!([])).then_some(())
    })
    .await;
    assert_eq!(api.job(&job).await.expect(200)["status"], "TimedOut");
}

async fn what_is_not_parked_is_refused(kind: StoreKind) {
    let (store, job) = poisoned(kind).await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    let decide = async |path: &str| api.post(&format!("/api/projections/{path}"), &json!({})).await;
    decide(&format!("nothing/parked/job/{job}/skip")).await.expect_refusal(404, "projection_not_found");
    api.get("/api/projections/nothing/parked").await.expect_refusal(404, "projection_not_found");
    decide(&format!("pipelines/parked/job/{job}/skip")).await.expect_refusal(404, "stream_not_parked");
    decide("jobs/parked/job/1/retry").await.expect_refusal(404, "stream_not_parked");
    decide("jobs/parked/work/1/retry").await.expect_refusal(400, "invalid_path");
    decide(&format!("jobs/parked/job/{job}/forget")).await.expect_refusal(404, "unknown_path");
}

async fn a_stream_of_an_unknown_kind_parks_nothing(kind: StoreKind) {
    let gadget = StreamId::new(StreamType::Unknown("gadget"), "1");
    let store = store_with(kind, gadget, vec![unreadable("gadget.made"), unreadable("gadget.sold")]).await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    let job = new_job(&api).await;
    assert_eq!(api.job(&job).await.expect(200)["status"], "Queued");
    for read_model in api.get("/api/projections").await.expect(200).as_array().unwrap() {
        assert_eq!(
            (&read_model["parked"], &read_model["lag_events"]),
            (&json!(0), &json!(0)),
            "{read_model}"
        );
    }
    let [event] = &recorded(&api, "gadget.sold").await[..] else { panic!("one event") };
    assert_eq!((&event["stream_type"], &event["stream_id"]), (&json!("gadget"), &json!("1")));
    assert_eq!((&event["sequence"], &event["payload"]), (&json!(2), &json!({"type": "gadget.sold"})));
    verify(&api, &store).await;
}
