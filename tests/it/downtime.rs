//! A runner loses no job because the server was down, or because the clocks of replicas differ.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_orchestrator::clock::{Clock, ManualClock, SystemClock};
use rivet_orchestrator::config::Config;
use rivet_tests::client::Client;
use rivet_tests::local_server::LocalServer;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{failure, id, ids, launched, new_pipeline, new_pipeline_with, success};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::verify;
use rivet_tests::wait::{eventually, throughout, until_shown};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

on_both_stores! {
    a_holder_that_speaks_after_a_downtime_keeps_its_job,
    a_job_that_ended_during_a_downtime_may_be_reported_after_it,
    silence_during_a_downtime_counts_against_nobody,
    a_grace_period_that_is_set_may_be_longer_than_the_lease,
}

/// Longer than any lease.
const DOWN: Duration = Duration::from_mins(20);
/// How far the clocks of two replicas may differ.
const SKEW: Duration = Duration::from_secs(10);

/// The default settings, except that leases are checked often.
fn config(store: &Store) -> Config {
    let mut config = Config::for_tests(store.url());
    config.leases.sweep_interval = Duration::from_millis(50);
    config
}

async fn claim_and_start(api: &Client, job: &str, runner: &str) -> Value {
    let claimed = api.claim_fencing(job, runner).await.expect(200);
    api.holding(&claimed).set_status(job, "Running").await.expect(204);
    claimed
}

async fn assert_running(api: &Client, job: &str) {
    let found = api.job(job).await.expect(200);
    assert_eq!((&found["status"], &found["attempt"]), (&json!("Running"), &json!(1)), "{found}");
}

/// Lets [`DOWN`] pass without a contact, also by the clock of the database, which the replicas share.
async fn pass_time(clock: &ManualClock, store: &Store, kind: StoreKind) {
    clock.advance(DOWN);
    if kind == StoreKind::Postgres {
        let mut database = PgConnection::connect(store.url()).await.unwrap();
        sqlx::query("update runner_contacts set heard_at = heard_at - make_interval(secs => $1)")
            .bind(DOWN.as_secs_f64())
            .execute(&mut database)
            .await
            .unwrap();
    }
}

async fn a_holder_that_speaks_after_a_downtime_keeps_its_job(kind: StoreKind) {
    let store = Store::create(kind).await;
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let server = LocalServer::start(config(&store), clock.clone()).await;
    let api = server.client();
    let pipeline = new_pipeline_with(&api, &json!({})).await;
    let (kept, lost) = (launched(&api, &pipeline).await, launched(&api, &pipeline).await);
    let speaks = claim_and_start(&api, &kept, "speaks").await;
    let silent = claim_and_start(&api, &lost, "silent").await;
    // A holder that does not fence has a longer lease, since it may be silent until it is done.
    let quiet = launched(&api, &pipeline).await;
    api.claim(&quiet, "quiet").await.expect(200);
    api.set_status(&quiet, "Running").await.expect(204);
    server.stop().await;
    pass_time(&clock, &store, kind).await;

    let server = LocalServer::start(config(&store), clock.clone()).await;
    let api = server.client();
    // Every holder has been silent for far longer than its lease, and leases are checked all the time.
    let grace = config(&store).leases.startup_grace();
    let (steps, mut step) = (10, 0);
    throughout(Duration::from_secs(1), async || {
        if step + 1 < steps {
            clock.advance(grace / steps);
            step += 1;
        }
        assert_running(&api, &kept).await;
        assert_running(&api, &lost).await;
    })
    .await;
    let holder = api.holding(&speaks);
    holder.heartbeat("speaks").await.expect(204);

    eventually("the silent holder to lose its job", async || {
        clock.advance(Duration::from_secs(1));
        holder.heartbeat("speaks").await.expect(204);
        (api.job(&lost).await.expect(200)["status"] == "Queued").then_some(())
    })
    .await;
    api.holding(&silent).complete(&lost, &success()).await.expect_refusal(409, "lease_lost");
    assert_running(&api, &kept).await;
    assert_running(&api, &quiet).await;
    eventually("the quiet holder to lose its job", async || {
        clock.advance(Duration::from_secs(5));
        holder.heartbeat("speaks").await.expect(204);
        (api.job(&quiet).await.expect(200)["status"] == "Failed").then_some(())
    })
    .await;
    holder.complete(&kept, &success()).await.expect(204);
    until_shown(&api, "/api/runners/silent", "status", "Offline").await;
    verify(&api, &store).await;
    server.stop().await;
}

/// All deadlines of these jobs pass while the server is away.
async fn a_job_that_ended_during_a_downtime_may_be_reported_after_it(kind: StoreKind) {
    let store = Store::create(kind).await;
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let mut config = config(&store);
    config.leases.run_timeout = DOWN / 2;
    config.leases.queue_timeout = DOWN / 2;
    let server = LocalServer::start(config.clone(), clock.clone()).await;
    let api = server.client();
    let pipeline = new_pipeline(&api).await;
    let [done, stopped, lost, waiting] = launched_four(&api, &pipeline).await;
    let holder = claim_and_start(&api, &done, "r").await;
    let stopping = claim_and_start(&api, &stopped, "r").await;
    claim_and_start(&api, &lost, "lost").await;
    let forced = json!({"force": true});
    api.post(&format!("/api/jobs/{stopped}/cancel"), &forced).await.expect(204);
    server.stop().await;
    pass_time(&clock, &store, kind).await;

    let server = LocalServer::start(config.clone(), clock.clone()).await;
    let api = server.client();
    let status = async |job: &String| api.job(job).await.expect(200)["status"].clone();
    throughout(Duration::from_secs(1), async || {
        for running in [&done, &stopped, &lost] {
            assert_eq!(status(running).await, "Running");
        }
        assert_eq!(status(&waiting).await, "Queued");
    })
    .await;
    api.holding(&holder).complete(&done, &success()).await.expect(204);
    assert_eq!(status(&done).await, "Succeeded");
    api.holding(&stopping).complete(&stopped, &failure()).await.expect(204);
    assert_eq!(api.job(&stopped).await.expect(200)["result"], failure());

    let step = config.leases.startup_grace() / 10;
    for overdue in [&lost, &waiting] {
        eventually("a deadline", async || {
            clock.advance(step);
            (status(overdue).await == "TimedOut").then_some(())
        })
        .await;
    }
    verify(&api, &store).await;
    server.stop().await;
}

async fn launched_four(api: &Client, pipeline: &str) -> [String; 4] {
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(launched(api, pipeline).await);
    }
    jobs.try_into().expect("four jobs")
}

/// With a lease that is shorter than the silence that other rules allow.
async fn silence_during_a_downtime_counts_against_nobody(kind: StoreKind) {
    let store = Store::create(kind).await;
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let mut config = config(&store);
    config.leases.lease = Duration::from_secs(30);
    let server = LocalServer::start(config.clone(), clock.clone()).await;
    let api = server.client();
    api.register("idle", &[]).await.expect(200);
    let job = launched(&api, &new_pipeline_with(&api, &json!({})).await).await;
    api.claim(&job, "quiet").await.expect(200);
    api.set_status(&job, "Running").await.expect(204);
    api.cancel(&job).await.expect(204);
    server.stop().await;
    pass_time(&clock, &store, kind).await;

    let server = LocalServer::start(config.clone(), clock.clone()).await;
    let api = server.client();
    let status = async |path: &str| api.get(path).await.expect(200)["status"].clone();
    let (its_path, idle) = (format!("/api/jobs/{job}"), "/api/runners/idle");
    // In steps so short that the server does not take itself for suspended.
    let step = Duration::from_secs(2);
    let mut left = config.leases.lease + Duration::from_secs(20);
    throughout(Duration::from_secs(4), async || {
        if !left.is_zero() {
            clock.advance(step);
            left -= step;
        }
        assert_eq!((status(&its_path).await, status(idle).await), (json!("Running"), json!("Online")));
    })
    .await;
    for (path, expected) in [(its_path.as_str(), "Cancelled"), (idle, "Offline")] {
        eventually(expected, async || {
            clock.advance(step);
            (status(path).await == expected).then_some(())
        })
        .await;
    }
    verify(&api, &store).await;
    server.stop().await;
}

async fn a_grace_period_that_is_set_may_be_longer_than_the_lease(kind: StoreKind) {
    let store = Store::create(kind).await;
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let mut config = config(&store);
    // So long that no step below makes the server take itself for suspended.
    config.leases.lease = Duration::from_mins(10);
    let (grace, step) = (Duration::from_mins(15), Duration::from_secs(30));
    config.leases.startup_grace = Some(grace);
    let server = LocalServer::start(config.clone(), clock.clone()).await;
    let api = server.client();
    let pipeline = new_pipeline_with(&api, &json!({})).await;
    let (kept, lost) = (launched(&api, &pipeline).await, launched(&api, &pipeline).await);
    let speaks = claim_and_start(&api, &kept, "speaks").await;
    claim_and_start(&api, &lost, "silent").await;
    server.stop().await;
    pass_time(&clock, &store, kind).await;

    let server = LocalServer::start(config, clock.clone()).await;
    let api = server.client();
    let mut passed = step;
    while passed < grace {
        clock.advance(step);
        passed += step;
        // Leaves time for a check of the leases.
        throughout(Duration::from_millis(1), async || {
            assert_running(&api, &kept).await;
            assert_running(&api, &lost).await;
        })
        .await;
    }
    let holder = api.holding(&speaks);
    eventually("the silent holder to lose its job", async || {
        holder.heartbeat("speaks").await.expect(204);
        clock.advance(Duration::from_secs(1));
        (api.job(&lost).await.expect(200)["status"] == "Queued").then_some(())
    })
    .await;
    assert_running(&api, &kept).await;
    holder.complete(&kept, &success()).await.expect(204);
    server.stop().await;
}

/// The clock of a machine that is set too far forward.
#[derive(Debug)]
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + self.0
    }
}

/// The replica that starts first is the leader, which checks the leases.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweeper_whose_clock_is_ahead_takes_no_job_from_a_healthy_holder() {
    replicas_with_skewed_clocks(SKEW, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweeper_whose_clock_is_behind_takes_no_job_from_a_healthy_holder() {
    replicas_with_skewed_clocks(Duration::ZERO, SKEW).await;
}

async fn replicas_with_skewed_clocks(sweeper: Duration, other: Duration) {
    let store = Store::create(StoreKind::Postgres).await;
    let lease = SKEW + Duration::from_secs(6);
    let mut config = config(&store);
    config.leases.lease = lease;
    config.leases.startup_grace = Some(Duration::ZERO);
    let servers = [
        LocalServer::start(config.clone(), Arc::new(Ahead(sweeper))).await,
        LocalServer::start(config.clone(), Arc::new(Ahead(other))).await,
    ];
    let [one, other] = servers.each_ref().map(LocalServer::client);
    let pipeline = new_pipeline(&one).await;
    for (key, here, there) in [("a", &one, &other), ("b", &other, &one)] {
        let launch = here.with("idempotency-key", key).launch(&pipeline, &json!({})).await;
        let job = id(&launch.expect(200));
        let again = there.with("idempotency-key", key).launch(&pipeline, &json!({})).await;
        assert_eq!(again.expect(200), launch.json());
        // The job is offered at once, by either replica, whatever its clock says.
        let reader = there.with("rivet-min-position", &launch.position());
        assert_eq!(ids(&reader.scheduled(None).await.expect(200)), [&*job]);
        let claimed = there.claim_next("next", 30_000).await.expect(200);
        assert_eq!(claimed["job_id"], job);
        here.holding(&claimed).complete(&job, &success()).await.expect(204);
        retries(here, there).await;
    }

    let job = launched(&one, &pipeline).await;
    let claimed = claim_and_start(&other, &job, "healthy").await;
    let holder = other.holding(&claimed);
    throughout(lease + Duration::from_secs(1), async || {
        holder.heartbeat("healthy").await.expect(204);
        assert_running(&one, &job).await;
    })
    .await;
    one.holding(&claimed).complete(&job, &success()).await.expect(204);
    verify(&one, &store).await;
    for server in servers {
        server.stop().await;
    }
}

/// A failure that is reported to one replica is retried at a time by that replica's clock.
async fn retries(here: &Client, there: &Client) {
    let pipeline = new_pipeline_with(here, &json!({"max_retries": 1})).await;
    let job = launched(here, &pipeline).await;
    let first = claim_and_start(here, &job, "first").await;
    there.holding(&first).complete(&job, &failure()).await.expect(204);
    let second = there.claim_next("second", 50_000).await.expect(200);
    assert_eq!((&second["job_id"], &second["attempt"]), (&json!(job), &json!(2)));
    here.holding(&second).complete(&job, &success()).await.expect(204);
}
