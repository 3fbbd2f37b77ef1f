//! A replica has the state of a job, a pipeline or a runner in its cache, and another one moves it: what a client is
//! answered goes by the log, not by the cache.

use rivet_tests::client::Client;
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{
    entry, failure, history, id, ids, launched, new_demanding_pipeline, new_job, new_pipeline,
    new_pipeline_with, script, success,
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

/// Launched through `first`, which so has it in its cache as queued.
async fn launched_at(first: &Client) -> String {
    new_job(first).await
}

async fn types(api: &Client, job: &str) -> Vec<String> {
    history(api, job).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_goes_on_after_another_replica_has_moved_the_job() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let job = launched_at(&one).await;
    let holder = one.holding(&one.claim_fencing(&job, "r").await.expect(200));
    holder.append_logs(&job, &json!([entry("a")])).await.expect(201);

    other.cancel(&job).await.expect(204);
    let told = holder.append_logs(&job, &json!([entry("b")])).await;
    told.expect(201);
    assert_eq!(told.header("rivet-cancel"), Some(&*job));

    let elsewhere = other.with("rivet-lease", &lease_of(&other, &job).await);
    elsewhere.complete(&job, &success()).await.expect(204);
    holder.append_logs(&job, &json!([entry("c")])).await.expect(201);
    assert_eq!(one.logs(&job).await.expect(200).as_array().map(Vec::len), Some(3));
}

/// The lease of the last claim in the history of a job.
async fn lease_of(api: &Client, job: &str) -> String {
    let (types, events) = history(api, job).await;
    let claimed = types.iter().rposition(|kind| kind == "job.claimed").expect("it was claimed");
    events[claimed]["payload"]["lease_id"].as_str().expect("a claim has a lease").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_not_retried_after_another_replica_has_deleted_the_pipeline() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    for _ in 0..5 {
        let pipeline = new_pipeline_with(&one, &json!({"max_retries": 1})).await;
        let job = launched(&other, &pipeline).await;
        other.claim(&job, "r").await.expect(200);
        one.delete(&format!("/api/pipeline/{pipeline}")).await.expect(204);
        other.complete(&job, &failure()).await.expect(204);
        assert_eq!(other.job(&job).await.expect(200)["status"], "Failed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_log_starts_an_attempt_that_another_replica_has_granted() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    for offset in [0, 5] {
        let job = launched_at(&one).await;
        let claimed = other.claim_fencing(&job, "r").await.expect(200);
        let logged = one.holding(&claimed).with("rivet-log-offset", &offset);
        let answer = logged.append_logs(&job, &json!([entry("a")])).await;
        assert_eq!(answer.status, if offset == 0 { 201 } else { 416 }, "{answer:?}");
        assert!(types(&one, &job).await.contains(&"job.started".to_owned()), "at offset {offset}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_lost_at_another_replica_takes_no_log() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let first = json!([entry("a")]);
    let batches: [(u64, &Value); 4] = [(0, &first), (1, &json!([])), (9, &first), (1, &json!([entry("b")]))];
    for (runner, (offset, batch)) in ["r0", "r1", "r2", "r3"].into_iter().zip(batches) {
        let job = launched_at(&one).await;
        one.boot(runner, "first").await.expect(200);
        let holder = one.holding(&one.claim_fencing(&job, runner).await.expect(200));
        holder.with("rivet-log-offset", "0").append_logs(&job, &first).await.expect(201);

        other.boot(runner, "second").await.expect(200);
        assert!(types(&other, &job).await.contains(&"job.requeued".to_owned()));
        let answer = holder.with("rivet-log-offset", &offset).append_logs(&job, batch).await;
        answer.expect_refusal(409, "lease_lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_shows_what_a_runner_may_claim_since_it_registered_at_another_replica() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let job = launched(&one, &new_demanding_pipeline(&one, &["gpu"]).await).await;
    one.register("r", &[]).await.expect(200);
    for capabilities in [&["gpu"][..], &[]].repeat(5) {
        one.scheduled(Some("r")).await.expect(200);
        let registered = other.register("r", capabilities).await.position();
        let offered = one.with("rivet-min-position", &registered).scheduled(Some("r")).await.expect(200);
        assert_eq!(ids(&offered).contains(&job), !capabilities.is_empty());
    }
}

async fn grouped(api: &Client) -> String {
    let pipeline = new_pipeline_with(api, &json!({"concurrency_group": "g", "concurrency_limit": 1})).await;
    launched(api, &pipeline).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_another_replica_has_requeued_needs_a_place_in_its_group() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let (first, second) = (grouped(&one).await, grouped(&one).await);
    one.boot("r", "first").await.expect(200);
    one.claim_fencing(&first, "r").await.expect(200);
    other.boot("r", "second").await.expect(200);
    let holder = other.holding(&other.claim_fencing(&second, "r").await.expect(200));

    one.claim_fencing(&first, "r").await.expect_refusal(409, "concurrency_limit");
    holder.complete(&second, &success()).await.expect(204);
    one.claim_fencing(&first, "r").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_a_full_group_that_was_won_at_another_replica_is_answered_again() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let job = grouped(&one).await;
    let claimed = other.with("rivet-request-key", "k").claim(&job, "r").await.expect(200);
    let again = one.with("rivet-request-key", "k").claim(&job, "r").await.expect(200);
    assert_eq!(again["lease_id"], claimed["lease_id"]);

    let job = grouped(&one).await;
    one.claim(&job, "r").await.expect_refusal(409, "concurrency_limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_goes_by_what_its_runner_has_registered_at_another_replica() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let pipeline = new_demanding_pipeline(&one, &["gpu"]).await;
    for _ in 0..8 {
        let [first, second] = [launched(&one, &pipeline).await, launched(&one, &pipeline).await];
        one.register("r", &["docker"]).await.expect(200);
        other.claim(&first, "r").await.expect_refusal(409, "capability_missing");
        one.register("r", &["docker", "gpu"]).await.expect(200);
        other.claim(&first, "r").await.expect(200);
        one.register("r", &["docker"]).await.expect(200);
        other.claim(&second, "r").await.expect_refusal(409, "capability_missing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_a_full_group_that_runs_is_claimed_already() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let job = grouped(&one).await;
    other.claim(&job, "r").await.expect(200);
    one.claim(&job, "s").await.expect_refusal(409, "already_claimed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_launch_is_refused_only_by_the_version_that_is_current_at_all_replicas() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let pipeline = new_pipeline(&one).await;
    for n in 0..20 {
        let only = format!("inputs = {{ x = {{ type = 'number', options = {{ {n} }} }} }},");
        let script = script("build", &only);
        one.revise(&pipeline, &json!({"script": script})).await.expect(200);
        other.launch(&pipeline, &json!({"x": n})).await.expect(200);
    }
    other.launch(&pipeline, &json!({"x": 0})).await.expect_refusal(422, "invalid_parameters");
}

/// The streams of pipelines and runners become long. Their first events are made unreadable here, to show that nobody
/// reads them again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_reads_only_what_another_one_has_added_to_a_pipeline_or_a_runner() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let pipeline = new_pipeline(&one).await;
    one.register("r", &[]).await.expect(200);
    other.launch(&pipeline, &json!({})).await.expect(200);
    other.register("r", &[]).await.expect(200);
    let unreadable = "update events set payload = '{}' where sequence = 1 and aggregate_type in";
    let mut database = PgConnection::connect(replicas.store.url()).await.unwrap();
    let unreadable = format!("{unreadable} ('pipeline', 'runner')");
    assert_eq!(sqlx::query(&unreadable).execute(&mut database).await.unwrap().rows_affected(), 2);
    for n in 2..20 {
        one.register("r", &[&n.to_string()]).await.expect(200);
        other.register("r", &[&n.to_string()]).await.expect(200);
        let text = script(&n.to_string(), "");
        one.revise(&pipeline, &json!({"script": &text})).await.expect(200);
        let job = other.launch(&pipeline, &json!({})).await.expect(200);
        assert_eq!(job["pipeline_version"], n);
        other.revise(&pipeline, &json!({"script": &text})).await.expect(200);
        one.register("r", &[]).await.expect(200);
        other.claim(&id(&job), "r").await.expect(200);
    }
}
