//! Several servers over one PostgreSQL behave as one, whichever is asked, and whichever dies.

use std::time::{Duration, Instant};

use futures_util::future::join;
use rivet_events::database::BEGIN_DERIVED;
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{
    self, entry, failure, history, id, ids, launched, new_claimed_job, new_demanding_pipeline, new_job,
    new_pipeline, pipeline, success,
};
use rivet_tests::server::{SWEEP_OFTEN, Server};
use rivet_tests::verify::{recorded, verify};
use rivet_tests::wait::{eventually, let_pass, until_job_is, until_shown, while_alive};
use serde_json::json;
use sqlx::{Connection, PgConnection, PgPool};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_may_live_at_two_replicas() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let pipeline = new_pipeline(&one).await;
    let mut last = 0;
    for n in 0..30 {
        let replicas = if n % 2 == 0 { [&one, &other] } else { [&other, &one] };
        let launched = replicas[0].launch(&pipeline, &json!({})).await;
        let job = id(&launched.expect(200));
        let claimed = replicas[1].claim_fencing(&job, "r").await;
        let holders = replicas.map(|replica| replica.holding(&claimed.expect(200)));
        let logged = holders[0].append_logs(&job, &json!([entry("a")])).await;
        logged.expect(201);
        let completed = holders[1].complete(&job, &success()).await;
        completed.expect(204);
        for answer in [launched, claimed, logged, completed] {
            assert!(answer.position() > last, "{answer:?} after {last}");
            last = answer.position();
        }
        let read = replicas[0].with("rivet-min-position", &last);
        let seen = read.job(&job).await;
        assert_eq!(
            (seen.expect(200)["status"].clone(), seen.header("rivet-stale")),
            (json!("Succeeded"), None)
        );
        assert_eq!(read.logs(&job).await.expect(200)[0]["message"], "a");
        // This needs no read model: the log alone decides.
        holders[0].complete(&job, &failure()).await.expect_refusal(409, "already_completed");
    }
    verify(&one, &replicas.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_waits_at_one_replica_for_a_launch_at_another() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let pipeline = new_pipeline(&one).await;
    let launch = async {
        eventually("the runner to wait", async || {
            (other.get("/api/runners/r").await.status == 200).then_some(())
        })
        .await;
        (launched(&other, &pipeline).await, Instant::now())
    };
    let (claimed, (job, at)) = join(one.claim_next("r", 50_000), launch).await;
    assert_eq!(claimed.expect(200)["job_id"], job);
    assert!(at.elapsed() < Duration::from_secs(20), "{:?}", at.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_replica_takes_over_what_the_dead_one_did() {
    let Replicas { store, one: leader, other } = Replicas::start(&[SWEEP_OFTEN, "--lease", "2s"]).await;
    let first = leader.client();
    let pipeline = new_pipeline(&first).await;
    let abandoned = new_job(&first).await;
    first.claim_fencing(&abandoned, "gone").await.expect(200);
    // The replica that started first is the leader.
    leader.kill();
    let (began, api) = (Instant::now(), other.client());
    let answer = api.launch(&pipeline, &json!({})).await;
    let job = id(&answer.expect(200));
    let reader = api.with("rivet-min-position", &answer.position());
    eventually("the read models to go on", async || {
        let seen = reader.job(&job).await;
        (seen.status == 200 && seen.header("rivet-stale").is_none()).then_some(())
    })
    .await;
    let took = began.elapsed();
    assert!(took < Duration::from_mins(1), "{took:?}");
    println!("the read models went on after {took:?}");
    until_job_is(&api, &abandoned, "Queued").await;
    println!("a lease ran out after {:?}", began.elapsed());
    // A replica can join again at any time.
    let back = Server::start(&store, &[]).await;
    back.client().job(&job).await.expect(200);
    verify(&api, &store).await;
}

/// The session of the leader with the database has ended, so the others need not wait for its lease to run out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_gone_is_succeeded_at_once() {
    let Replicas { store, one: leader, other } = Replicas::start(&[]).await;
    let api = other.client();
    let pipeline = new_pipeline(&api).await;
    leader.kill();
    let mut database = PgConnection::connect(store.url()).await.unwrap();
    let an_hour_more = "update projector_lease set renewed_at = renewed_at + 3600000000";
    assert_eq!(sqlx::query(an_hour_more).execute(&mut database).await.unwrap().rows_affected(), 1);
    let reader = api.with("rivet-min-position", &api.launch(&pipeline, &json!({})).await.position());
    eventually("the read models to go on", async || {
        reader.get("/api/jobs?limit=1").await.header("rivet-stale").is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stands_still_inside_a_transaction_is_succeeded() {
    let Replicas { store, one: leader, other } = Replicas::start(&[]).await;
    let api = other.client();
    let pipeline = new_pipeline(&api).await;
    // A transaction like that of a replica which hangs in the middle of a batch.
    let database = PgPool::connect(store.url()).await.unwrap();
    let mut transaction = database.begin_with(BEGIN_DERIVED).await.unwrap();
    sqlx::query("select from checkpoints for update").execute(&mut *transaction).await.unwrap();
    let reader = api.with("rivet-min-position", &api.launch(&pipeline, &json!({})).await.position());
    eventually("the read models to go on", async || {
        reader.get("/api/jobs?limit=1").await.header("rivet-stale").is_none().then_some(())
    })
    .await;
    transaction.commit().await.unwrap_err();
    verify(&leader.client(), &store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contact_at_any_replica_keeps_a_job() {
    let flags = [SWEEP_OFTEN, "--startup-grace", "0s", "--lease", "10s", "--legacy-lease", "10s"];
    let Replicas { store, one: leader, other } = Replicas::start(&flags).await;
    let stays_alive = async |runner: &str, server: &Server| {
        let api = server.client();
        let job = new_claimed_job(&api, runner).await;
        api.set_status(&job, "Running").await.expect(204);
        // Longer than the lease.
        while_alive(&api, runner, let_pass(Duration::from_secs(12))).await;
        let shown = api.job(&job).await.expect(200);
        assert_eq!((&shown["status"], &shown["attempt"]), (&json!("Running"), &json!(1)));
        api.complete(&job, &success()).await.expect(204);
    };
    join(stays_alive("r", &other), stays_alive("s", &leader)).await;
    verify(&leader.client(), &store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_one_replica_lost_returns_by_a_poll_of_another() {
    let flags = ["--runner-offline-after", "500ms", SWEEP_OFTEN, "--startup-grace", "0s"];
    let replicas = Replicas::start(&flags).await;
    let [leader, other] = replicas.clients();
    other.claim_next("r", 0).await.expect(204);
    until_shown(&leader, "/api/runners/r", "status", "Offline").await;
    eventually("the return", async || {
        other.claim_next("r", 0).await.expect(204);
        (!recorded(&leader, "runner.returned").await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stood_still_takes_nothing_from_anybody() {
    let Replicas { store, one: leader, other } = Replicas::start(&[SWEEP_OFTEN, "--lease", "8s"]).await;
    let api = other.client();
    let job = new_job(&api).await;
    let holder = api.holding(&api.claim_fencing(&job, "r").await.expect(200));
    holder.set_status(&job, "Running").await.expect(204);
    let freeze = async {
        // Longer than the startup grace, so that the grace does not save the job.
        let_pass(Duration::from_secs(10)).await;
        leader.freeze();
        // Longer than the lease, and long enough for the other replica to lead.
        let_pass(Duration::from_secs(14)).await;
        leader.thaw();
        let_pass(Duration::from_secs(3)).await;
    };
    while_alive(&api, "r", freeze).await;
    for replica in [&leader, &other] {
        let shown = replica.client().job(&job).await.expect(200);
        assert_eq!((&shown["status"], &shown["attempt"]), (&json!("Running"), &json!(1)));
    }
    holder.complete(&job, &success()).await.expect(204);
    verify(&api, &store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_remembers_is_not_what_another_one_changed() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let pipeline = new_pipeline(&one).await;
    let path = format!("/api/pipeline/{pipeline}");
    launched(&one, &pipeline).await;
    launched(&other, &pipeline).await;

    other.revise(&pipeline, &sample::pipeline("revised")).await.expect(200);
    let job = one.launch(&pipeline, &json!({})).await.expect(200);
    assert_eq!(job["pipeline_version"], 2);

    // A version that only the other replica has in its cache.
    other.revise(&pipeline, &sample::pipeline("again")).await.expect(200);
    let job = launched(&other, &pipeline).await;
    let claimed = one.claim_fencing(&job, "r").await.expect(200);
    assert!(claimed["pipeline_source"].as_str().unwrap().contains("again"), "{claimed}");

    other.delete(&path).await.expect(204);
    one.launch(&pipeline, &json!({})).await.expect_refusal(404, "pipeline_not_found");
    one.retry(&job).await.expect_refusal(409, "not_ended");
    one.holding(&claimed).complete(&job, &success()).await.expect(204);
    one.retry(&job).await.expect_refusal(404, "pipeline_not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_registers_again_elsewhere_is_offered_what_it_can_do_now() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    let pipeline = new_demanding_pipeline(&one, &["gpu"]).await;
    one.register("r", &["cpu"]).await.expect(200);
    let job = launched(&one, &pipeline).await;
    let offered = async || ids(&one.scheduled(Some("r")).await.expect(200));
    assert!(!offered().await.contains(&job));
    other.register("r", &["gpu"]).await.expect(200);
    eventually("an offer", async || offered().await.contains(&job).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_one_replica_removed_is_registered_by_a_poll_of_another() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    one.register("r", &[]).await.expect(200);
    one.claim_next("r", 0).await.expect(204);
    other.delete("/api/runners/r").await.expect(204);
    eventually("the runner to be registered", async || {
        one.claim_next("r", 0).await.expect(204);
        (one.get("/api/runners/r").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_counts_for_the_runner_that_sent_it_whatever_a_replica_remembers() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    one.boot("former", "a").await.expect(200);
    let job = new_job(&one).await;
    let former = other.holding(&other.claim_fencing(&job, "former").await.expect(200));
    // The other replica goes on to remember this attempt.
    one.boot("former", "b").await.expect(200);
    former.complete(&job, &success()).await.expect_refusal(409, "lease_lost");

    let job_of_both = new_job(&one).await;
    other.claim_fencing(&job_of_both, "former").await.expect(200);
    one.boot("former", "c").await.expect(200);
    let claimed = one.claim_fencing(&job_of_both, "next").await.expect(200);
    one.delete("/api/runners/former").await.expect(204);
    other.holding(&claimed).complete(&job_of_both, &success()).await.expect(204);

    // Without leases too: the report is taken for that of the current holder, whom the other replica does not know.
    let mut retried = pipeline("retried");
    retried["config"]["max_retries"] = json!(1);
    let retried = launched(&one, &id(&one.create_pipeline(&retried).await.expect(200))).await;
    other.claim(&retried, "first").await.expect(200);
    one.complete(&retried, &failure()).await.expect(204);
    eventually("the retry to be due", async || {
        (one.claim(&retried, "second").await.status == 200).then_some(())
    })
    .await;
    other.complete(&retried, &success()).await.expect(204);

    let actor_of = async |job: &str, event_type: &str| {
        let (types, events) = history(&one, job).await;
        let place = types.iter().position(|found| found == event_type).expect("it is recorded");
        events[place]["metadata"]["actor"].clone()
    };
    assert_eq!(actor_of(&job, "job.report_refused").await, "client");
    assert_eq!(actor_of(&job_of_both, "job.completed").await, "runner:next");
    assert_eq!(actor_of(&retried, "job.requeued").await, "runner:first");
    assert_eq!(actor_of(&retried, "job.completed").await, "runner:second");
    let position = other.post("/api/runners/next/heartbeat", &json!({})).await.position();
    one.with("rivet-min-position", &position)
        .get("/api/runners/former")
        .await
        .expect_refusal(404, "runner_not_found");
}
