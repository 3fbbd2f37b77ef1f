//! Time travel: what GETs answered at a moment is what they answer about that moment for ever.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use rivet_events::Position;
use rivet_events::runner::Capabilities;
use rivet_orchestrator::clock::{Clock, ManualClock};
use rivet_orchestrator::config::Config;
use rivet_projections::pipelines::PipelineFilter;
use rivet_projections::runners::RunnerFilter;
use rivet_projections::{job_queue, pipelines, runners};
use rivet_tests::client::{Answer, Client};
use rivet_tests::history::streams;
use rivet_tests::local_server::LocalServer;
use rivet_tests::on_both_stores;
use rivet_tests::process::Process;
use rivet_tests::sample::{
    failure, id, launched, new_claimed_job, new_demanding_pipeline, new_pipeline_with, pipeline, success,
};
use rivet_tests::server::TestApp;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::{head, rebuild_all};
use serde_json::{Value, json};

/// A server whose clock advances by some seconds with each step, and the answers of GETs after each step.
struct Recording {
    api: Client,
    clock: Arc<ManualClock>,
    paths: Vec<String>,
    moments: Vec<Moment>,
}

struct Moment {
    position: u64,
    time: String,
    answers: Vec<Value>,
}

impl Recording {
    /// Reads everything, and advances the clock.
    async fn look(&mut self) {
        let position = head(&self.api).await;
        let time = self.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut answers = Vec::new();
        for path in &self.paths {
            answers.push(seen(&self.api.get(path).await));
        }
        self.moments.push(Moment { position, time, answers });
        self.clock.advance(Duration::from_secs(4));
    }

    /// Checks that every moment gives the same answers again, by its position and by its time.
    async fn is_seen_again(&self) {
        for moment in &self.moments {
            // A path that was added later named nothing at that moment.
            for (number, path) in self.paths.iter().enumerate() {
                let expected = moment.answers.get(number).cloned().unwrap_or_else(|| json!("job_not_found"));
                for at in [&moment.position.to_string(), &moment.time] {
                    let separator = if path.contains('?') { '&' } else { '?' };
                    let answer = self.api.get(&format!("{path}{separator}at={at}")).await;
                    assert_eq!(seen(&answer), expected, "{path} at {at}");
                    if answer.status == 200 {
                        assert_eq!(answer.position(), moment.position, "{path} at {at}");
                    }
                }
            }
        }
    }
}

/// An answer without the members that only the present has: why a job waits, and contacts that are not in the log.
fn seen(answer: &Answer) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.remove("waiting");
                members.remove("last_heartbeat_at");
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut body = answer.json();
    strip(&mut body);
    if answer.status == 200 { body } else { body["code"].clone() }
}

on_both_stores! {
    what_was_seen_is_seen_again,
    what_has_not_come_is_refused,
    a_removed_runner_keeps_what_it_could_do,
    a_history_answers_who_did_what_and_what_came_of_it,
    rows_of_the_past_are_those_that_were_there,
}

async fn what_was_seen_is_seen_again(kind: StoreKind) {
    let store = Store::create(kind).await;
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
    let server = LocalServer::start(Config::for_tests(store.url()), clock.clone()).await;
    let api = server.client();
    let fixed = [
        "/api/jobs",
        "/api/jobs?status=Queued",
        "/api/jobs?runner_id=r1",
        "/api/runners",
        "/api/runners?status=Busy",
        "/api/runners/r1",
        "/api/runners/r2",
        "/api/pipeline/list",
        "/api/jobs/scheduled",
        "/api/jobs/scheduled?fencing=true",
        "/api/jobs/scheduled?runner_id=r1",
    ];
    let paths = fixed.iter().map(ToString::to_string).collect();
    let mut recording = Recording { api: api.clone(), clock, paths, moments: vec![] };
    recording.look().await;

    api.register("r1", &["docker"]).await.expect(200);
    api.register("r2", &["docker"]).await.expect(200);
    recording.look().await;
    let config = json!({"max_retries": 1, "concurrency_group": "deploy", "concurrency_limit": 1});
    let grouped = new_pipeline_with(&api, &config).await;
    let demanding = new_demanding_pipeline(&api, &["gpu"]).await;
    recording.look().await;
    let mut jobs = Vec::new();
    for pipeline in [&grouped, &grouped, &demanding] {
        jobs.push(launched(&api, pipeline).await);
        recording.paths.push(format!("/api/jobs/{}", jobs.last().unwrap()));
        recording.look().await;
    }
    let claimed = api.claim_fencing(&jobs[0], "r1").await.expect(200);
    recording.look().await;
    api.holding(&claimed).complete(&jobs[0], &failure()).await.expect(204);
    recording.look().await;
    api.register("r1", &["docker", "gpu"]).await.expect(200);
    recording.look().await;
    api.claim(&jobs[0], "r1").await.expect(200);
    recording.look().await;
    api.cancel(&jobs[1]).await.expect(204);
    api.revise(&demanding, &pipeline("revised")).await.expect(200);
    recording.look().await;
    api.complete(&jobs[0], &success()).await.expect(204);
    recording.look().await;
    api.delete(&format!("/api/pipeline/{demanding}")).await.expect(204);
    // Not the one whose polls are looked at, since a poll would register it again.
    api.delete("/api/runners/r2").await.expect(204);
    recording.look().await;
    api.register("r2", &[]).await.expect(200);
    recording.look().await;

    recording.is_seen_again().await;
    rebuild_all(&api, &store).await;
    recording.is_seen_again().await;
    server.stop().await;
}

async fn a_removed_runner_keeps_what_it_could_do(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.register("r1", &["docker"]).await.expect(200);
    launched(&api, &new_demanding_pipeline(&api, &["gpu"]).await).await;
    let removed = api.delete("/api/runners/r1").await.position();
    let then = format!("/api/jobs/scheduled?runner_id=r1&at={removed}");
    assert_eq!(api.get(&then).await.expect(200), json!([]));
}

async fn what_has_not_come_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r1").await;
    let created = api.job(&job).await.expect(200);
    let of_pipeline = format!("/api/jobs/pipeline/{}", created["pipeline_id"].as_str().unwrap());
    let paths = [
        "/api/jobs",
        &format!("/api/jobs/{job}"),
        "/api/runners",
        "/api/runners/r1",
        "/api/pipeline/list",
        "/api/jobs/scheduled",
    ];
    for path in paths {
        for at in ["1000000", "2100-01-01T00:00:00Z"] {
            api.get(&format!("{path}?at={at}")).await.expect_refusal(422, "in_the_future");
        }
        for at in ["-1", "yesterday", ""] {
            api.get(&format!("{path}?at={at}")).await.expect_refusal(400, "invalid_query");
        }
    }
    for at in ["0", "1970-01-01T00:00:00Z"] {
        for path in ["/api/jobs", "/api/runners", "/api/pipeline/list", "/api/jobs/scheduled"] {
            assert_eq!(api.get(&format!("{path}?at={at}")).await.expect(200), json!([]), "{path} at {at}");
        }
        api.get(&format!("/api/jobs/{job}?at={at}")).await.expect_refusal(404, "job_not_found");
        api.get(&format!("{of_pipeline}?at={at}")).await.expect_refusal(404, "pipeline_not_found");
        api.get(&format!("/api/runners/r1?at={at}")).await.expect_refusal(404, "runner_not_found");
    }
}

async fn a_history_answers_who_did_what_and_what_came_of_it(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r1").await;
    let bot = api.with("user-agent", "deploy-bot/2").with("x-request-id", "request-42");
    let cancelled = bot.cancel(&job).await;
    cancelled.expect(204);
    api.complete(&job, &failure()).await.expect(204);

    let history = api.get(&format!("/api/jobs/{job}/events?states=true")).await.expect(200);
    let events = history["events"].as_array().unwrap();
    let column = |name: &str| -> Vec<&str> {
        events.iter().map(|event| event["state"][name].as_str().unwrap()).collect()
    };
    assert_eq!(column("phase").last(), Some(&"ended"));
    assert_eq!(column("status")[..2], ["Queued", "Running"]);
    let asked = events.iter().find(|event| event["type"] == "job.cancel_requested").unwrap();
    assert_eq!(asked["position"], cancelled.position());
    assert_eq!((&asked["state"]["phase"], &asked["state"]["id"]), (&json!("cancelling"), &json!(job)));
    let metadata = &asked["metadata"];
    assert_eq!((&metadata["actor"], &metadata["user_agent"]), (&json!("client"), &json!("deploy-bot/2")));
    assert_eq!((&metadata["request_id"], metadata["command_id"].is_string()), (&json!("request-42"), true));
    for event in events {
        let position = &event["position"];
        let then = api.get(&format!("/api/jobs/{job}?at={position}")).await.expect(200);
        assert_eq!(event["state"], then, "at {position}");
    }
    let plain = api.history(&job).await.expect(200);
    assert!(plain["events"].as_array().unwrap().iter().all(|event| event.get("state").is_none()));
    assert_eq!(id(&api.job(&job).await.expect(200)), job);
}

async fn rows_of_the_past_are_those_that_were_there(kind: StoreKind) {
    let (_store, process) = Process::of(kind).await;
    let running = process.start();
    let read_models = &process.read_models;
    let now = DateTime::from_timestamp(1_700_100_000, 0).unwrap();
    let mut moments = Vec::new();
    for some in streams(31, 150).chunks(7) {
        process.append_all(some, 2).await;
        let head = process.caught_up().await;
        moments.push((
            head,
            runners::list(read_models, &RunnerFilter::default(), None, 1_000).await.unwrap(),
            pipelines::list(read_models, &PipelineFilter::default(), None, 1_000).await.unwrap(),
            job_queue::candidates(read_models, &Capabilities::default(), true, now, 1_000).await.unwrap(),
        ));
    }
    assert!(moments.iter().any(|(_, _, _, queue)| queue.len() > 10), "something waits");
    for (head, runners, pipelines, queue) in moments {
        let runners_then =
            runners::list_at(read_models, head, &RunnerFilter::default(), None, 1_000).await.unwrap();
        assert_eq!(runners_then, runners, "at {head}");
        assert_eq!(
            pipelines::list_at(read_models, head, &PipelineFilter::default(), None, 1_000).await.unwrap(),
            pipelines,
            "at {head}"
        );
        let queue_then =
            job_queue::candidates_at(read_models, head, &Capabilities::default(), true, now, 1_000)
                .await
                .unwrap();
        assert_eq!(queue_then, queue, "at {head}");
    }
    let nothing =
        runners::list_at(read_models, Position(0), &RunnerFilter::default(), None, 10).await.unwrap();
    assert_eq!((nothing.items, nothing.next), (vec![], None));
    running.stop().await;
}
