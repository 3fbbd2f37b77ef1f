//! Faults: a server that hangs, and a database that dies.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use rivet_tests::client::{Answer, Client};
use rivet_tests::on_both_stores;
use rivet_tests::sample::{WEBHOOK_SECRET, entry, id, launched, new_job, new_pipeline, success};
use rivet_tests::server::{SWEEP_OFTEN, Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::{events, verify};
use rivet_tests::wait::{eventually, let_pass, throughout, until_job_is};
use serde_json::{Value, json};

const WRITERS: usize = 8;
const CRASHES: usize = 3;
/// How many writes must be acknowledged before the next crash.
const WRITES_BETWEEN_CRASHES: usize = 100;

on_both_stores! {
    a_server_that_stands_still_loses_no_healthy_job,
    a_write_counts_though_the_sign_of_life_in_it_cannot_be_recorded,
    a_webhook_is_deleted_though_its_secret_cannot_be_yet,
    a_holder_whose_reports_cannot_be_recorded_keeps_its_job,
    nobody_is_told_of_no_job_while_the_queue_cannot_be_read,
    the_queue_of_a_deleted_pipeline_is_cancelled_as_soon_as_it_can_be,
}

async fn a_server_that_stands_still_loses_no_healthy_job(kind: StoreKind) {
    let flags = ["--lease", "6s", SWEEP_OFTEN];
    let app = TestApp::start_with(kind, &flags).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(launched(&api, &pipeline).await);
    }
    for (n, job) in jobs.iter().enumerate() {
        let claimed = api.claim_fencing(job, &format!("r{n}")).await.expect(200);
        api.holding(&claimed).set_status(job, "Running").await.expect(204);
    }
    let beat = async |runners: usize| {
        for n in 0..runners {
            assert!(api.heartbeat(&format!("r{n}")).await.status < 300);
        }
    };
    // Longer than the startup grace, so that the grace does not save the jobs.
    throughout(Duration::from_secs(7), async || beat(5).await).await;
    app.server.freeze();
    // Longer than the lease.
    let_pass(Duration::from_secs(7)).await;
    app.server.thaw();
    // The runners had sent a heartbeat just before, so their next one is due only after a while.
    let_pass(Duration::from_secs(1)).await;
    throughout(Duration::from_secs(5), async || beat(4).await).await;
    for job in &jobs[..4] {
        let shown = api.job(job).await.expect(200);
        assert_eq!((&shown["status"], &shown["attempt"]), (&json!("Running"), &json!(1)));
    }
    until_job_is(&api, &jobs[4], "Queued").await;
}

async fn a_write_counts_though_the_sign_of_life_in_it_cannot_be_recorded(kind: StoreKind) {
    // Every contact is recorded as an event.
    let app = TestApp::start_with(kind, &["--heartbeat-resolution", "0s"]).await;
    let api = app.client();
    let job = new_job(&api).await;
    let holder = api.holding(&api.claim_fencing(&job, "r").await.expect(200));
    refuse(kind, &app.store, "insert on events", "new.aggregate_type = 'runner'").await;
    holder.heartbeat("r").await.expect_refusal(503, "unavailable");
    holder.set_status(&job, "Running").await.expect(204);
    holder.append_logs(&job, &json!([entry("a")])).await.expect(201);
    holder.complete(&job, &success()).await.expect(204);
    assert_eq!(api.job(&job).await.expect(200)["status"], "Succeeded");
}

async fn a_webhook_is_deleted_though_its_secret_cannot_be_yet(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let body = json!({"url": "https://example.com/", "secret": WEBHOOK_SECRET, "types": ["job.completed"]});
    let webhook = format!("/api/webhooks/{}", id(&api.post("/api/webhooks", &body).await.expect(201)));
    refuse(kind, &app.store, "delete on webhook_deliveries", "true").await;
    api.delete(&webhook).await.expect(204);
    api.get(&webhook).await.expect_refusal(404, "webhook_not_found");
}

async fn a_holder_whose_reports_cannot_be_recorded_keeps_its_job(kind: StoreKind) {
    let flags = ["--lease", "6s", SWEEP_OFTEN, "--startup-grace", "0s"];
    let app = TestApp::start_with(kind, &flags).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let hold = async |runner: &str| {
        let job = launched(&api, &pipeline).await;
        (api.holding(&api.claim_fencing(&job, runner).await.expect(200)), job)
    };
    let (started, logging, hasty) = (hold("r1").await, hold("r2").await, hold("r3").await);
    let (ending, silent) = (hold("r4").await, hold("r5").await);
    for (holder, job) in [&logging, &ending] {
        holder.set_status(job, "Running").await.expect(204);
    }

    let reports = "new.event_type in ('job.started', 'job.completed') or new.aggregate_type = 'job_log'";
    refuse(kind, &app.store, "insert on events", reports).await;
    // Twice the lease.
    throughout(Duration::from_secs(12), async || {
        let batch = json!([entry("still here")]);
        started.0.set_status(&started.1, "Running").await.expect_refusal(503, "unavailable");
        for (holder, job) in [&logging, &hasty] {
            holder.append_logs(job, &batch).await.expect_refusal(503, "unavailable");
        }
        ending.0.complete(&ending.1, &success()).await.expect_refusal(503, "unavailable");
    })
    .await;
    let lost = api.job(&silent.1).await.expect(200);
    assert_eq!((&lost["status"], &lost["attempt"]), (&json!("Queued"), &json!(1)));

    accept_events(kind, &app.store).await;
    for (holder, job) in [&started, &logging, &hasty, &ending] {
        holder.complete(job, &success()).await.expect(204);
        let job = api.job(job).await.expect(200);
        assert_eq!((&job["status"], &job["attempt"]), (&json!("Succeeded"), &json!(1)));
    }
}

async fn nobody_is_told_of_no_job_while_the_queue_cannot_be_read(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.claim_next("r", 0).await.expect(204);
    app.store.execute("alter table job_queue_g1 rename to elsewhere").await;
    for wait_ms in [0, 50] {
        api.claim_next("r", wait_ms).await.expect_refusal(503, "unavailable");
    }
    app.store.execute("alter table elsewhere rename to job_queue_g1").await;
    api.claim_next("r", 0).await.expect(204);
}

async fn the_queue_of_a_deleted_pipeline_is_cancelled_as_soon_as_it_can_be(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[SWEEP_OFTEN]).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let job = launched(&api, &pipeline).await;
    refuse(kind, &app.store, "insert on events", "new.event_type = 'job.cancelled'").await;
    api.delete(&format!("/api/pipeline/{pipeline}")).await.expect(204);
    assert_eq!(api.job(&job).await.expect(200)["status"], "Queued");
    accept_events(kind, &app.store).await;
    until_job_is(&api, &job, "Cancelled").await;
}

/// Makes the database refuse such writes of such rows.
async fn refuse(kind: StoreKind, store: &Store, writes: &str, rows: &str) {
    let trigger = format!("create trigger refuse before {writes}");
    let statements = match kind {
        StoreKind::Postgres => format!(
            "create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;
             {trigger} for each row when ({rows}) execute function refuse()"
        ),
        StoreKind::Sqlite => format!("{trigger} when {rows} begin select raise(abort, 'refused'); end"),
    };
    store.execute(&statements).await;
}

/// Makes it accept the events again that it refused.
async fn accept_events(kind: StoreKind, store: &Store) {
    let statement = match kind {
        StoreKind::Postgres => "drop trigger refuse on events",
        StoreKind::Sqlite => "drop trigger refuse",
    };
    store.execute(statement).await;
}

/// PostgreSQL with its default settings, with fsync, dies under a load of writes. The clients repeat every request
/// until it is acknowledged, so each write is there exactly once; and what was acknowledged keeps its position and is
/// not written again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_outlives_its_database() {
    let store = Store::durable(StoreKind::Postgres).await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    let pipeline = new_pipeline(&api).await;
    let (acknowledged, stop) = (Acknowledged::default(), AtomicBool::new(false));
    let writers = (0..WRITERS).map(|writer| write_until(&api, &pipeline, writer, &acknowledged, &stop));
    let crashes = async {
        for _ in 0..CRASHES {
            let before = acknowledged.count();
            eventually("writes to be under way", async || {
                (acknowledged.count() >= before + WRITES_BETWEEN_CRASHES).then_some(())
            })
            .await;
            store.cluster().kill();
            store.cluster().resume().await;
            let (before, began) = (acknowledged.count(), Instant::now());
            eventually("writes to go on", async || (acknowledged.count() > before).then_some(())).await;
            println!("writes went on {:?} after the database was back", began.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
    };
    join(join_all(writers), crashes).await;
    let began = Instant::now();
    eventually("the read models to catch up", async || {
        let answer = api.get("/api/jobs?limit=1").await;
        (answer.status == 200 && answer.header("rivet-stale").is_none()).then_some(())
    })
    .await;
    println!("the read models had caught up after {:?}", began.elapsed());
    println!("{} writes were acknowledged", acknowledged.count());
    acknowledged.assert_kept(&api).await;
    verify(&api, &store).await;
}

/// Job and type of an event.
type Told = (String, String);

/// The events that clients were told are recorded.
#[derive(Default)]
struct Acknowledged(Mutex<Writes>);

#[derive(Default, Clone)]
struct Writes {
    /// Events by the position that the answer had.
    placed: BTreeMap<u64, Told>,
    /// Events without a known position: a repeated request found nothing left to record.
    repeated: Vec<Told>,
}

impl Acknowledged {
    fn count(&self) -> usize {
        let writes = self.0.lock().expect("no writer panics");
        writes.placed.len() + writes.repeated.len()
    }

    #[track_caller]
    fn note(&self, answer: &Answer, job: &str, event: &str) {
        let told = (job.to_owned(), event.to_owned());
        let before = self.0.lock().expect("no writer panics").placed.insert(answer.position(), told);
        assert_eq!(before, None, "a position was given twice");
    }

    /// As [`Self::note`], for a request without a key, whose repetition does not get the first answer.
    #[track_caller]
    fn note_unkeyed(&self, (answer, tries): &(Answer, usize), job: &str, event: &str) {
        if *tries == 1 {
            self.note(answer, job, event);
        } else {
            let told = (job.to_owned(), event.to_owned());
            self.0.lock().expect("no writer panics").repeated.push(told);
        }
    }

    /// The log has at each position the event that was acknowledged there, has each repeated event once, and has no
    /// other events of jobs but their starts.
    async fn assert_kept(&self, api: &Client) {
        let Writes { placed, mut repeated } = self.0.lock().expect("no writer panics").clone();
        let is_told = |event: &Value| {
            let kind = event["type"].as_str().expect("a type is text");
            (kind.starts_with("job.") || kind.starts_with("job_log.")) && kind != "job.started"
        };
        let log = events(api).await.into_iter().filter(is_told);
        let kept = log.map(|event| {
            let text = |member: &str| event[member].as_str().expect("it is text").to_owned();
            (event["position"].as_u64().expect("it is a number"), (text("stream_id"), text("type")))
        });
        let (kept, others): (BTreeMap<u64, Told>, BTreeMap<u64, Told>) =
            kept.partition(|(position, _)| placed.contains_key(position));
        assert_eq!(kept, placed);
        let mut others: Vec<Told> = others.into_values().collect();
        others.sort();
        repeated.sort();
        assert_eq!(others, repeated);
        for (job, kind) in placed.values().chain(&repeated) {
            if kind == "job.completed" {
                assert_eq!(api.job(job).await.expect(200)["status"], "Succeeded");
                assert_eq!(api.logs(job).await.expect(200).as_array().map(Vec::len), Some(1));
            }
        }
    }
}

/// Takes one job after the other through its life, repeating each step until it is acknowledged, until it is told to
/// stop.
async fn write_until(
    api: &Client,
    pipeline: &str,
    writer: usize,
    acknowledged: &Acknowledged,
    stop: &AtomicBool,
) {
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let key = format!("{writer}-{n}");
        let body = json!({"pipeline_id": pipeline, "parameters": {}});
        let launched = api.with("idempotency-key", &key).insist("/api/pipeline/launch", &body).await;
        let job = id(&launched.expect(200));
        acknowledged.note(&launched, &job, "job.launched");
        let body = json!({"runner_id": format!("r{writer}"), "fencing": true});
        let claim = format!("/api/jobs/{job}/claim");
        let claimed = api.with("rivet-request-key", &key).insist(&claim, &body).await;
        let holder = api.holding(&claimed.expect(200)).with("rivet-log-offset", &0);
        acknowledged.note(&claimed, &job, "job.claimed");
        let logged = holder.insist_counting(&format!("/api/jobs/{job}/logs"), &json!([entry("done")])).await;
        logged.0.expect(201);
        acknowledged.note_unkeyed(&logged, &job, "job_log.appended");
        let result = json!({"result": success()});
        let completed = holder.insist_counting(&format!("/api/jobs/{job}/complete"), &result).await;
        completed.0.expect(204);
        acknowledged.note_unkeyed(&completed, &job, "job.completed");
    }
}
