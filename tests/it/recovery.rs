//! `kill -9` under a load of writes: what was acknowledged is there, and everything is consistent (I8).

use std::os::unix::fs::symlink;
use std::sync::Mutex;

use futures_util::future::join_all;
use reqwest::Method;
use rivet_tests::client::{Answer, Client};
use rivet_tests::on_both_stores;
use rivet_tests::program::{command, complaint, finish, run, signal, spawn};
use rivet_tests::sample::{entry, id, new_pipeline, success};
use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::verify;
use rivet_tests::wait::eventually;
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};

const KILLS: usize = 20;
const WRITERS: usize = 8;

on_both_stores! { acknowledged_writes_survive_a_kill, a_server_that_is_asked_to_end_ends_in_order }

/// How far a job came, by the acknowledged requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    Launched,
    Claimed,
    Logged,
    Completed,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_over_a_file_does_not_start() {
    let store = Store::create(StoreKind::Sqlite).await;
    let first = Server::start(&store, &[]).await;
    let links = tempfile::tempdir().unwrap();
    let link = links.path().join("link.db");
    symlink(store.url().strip_prefix("sqlite://").unwrap(), &link).unwrap();
    let linked = format!("sqlite://{}", link.display());
    for url in [store.url(), &linked] {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--database-url", url];
        let refused = run(&serve).await;
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("another server has ") && said.contains(" open"), "{said}");
    }
    // The lock is released with its process, however the process ends.
    first.kill();
    Server::start(&store, &[]).await.client().get("/readyz").await.expect(200);
}

async fn acknowledged_writes_survive_a_kill(kind: StoreKind) {
    let store = Store::create(kind).await;
    let mut server = Server::start(&store, &[]).await;
    let pipeline = new_pipeline(&server.client()).await;
    let acknowledged = Mutex::new(Vec::new());
    for kill in 0..KILLS {
        let goal = acknowledged.lock().expect("no writer panics").len() + 10 + 3 * kill;
        let client = server.client();
        let writers = join_all((0..WRITERS).map(|_| write_until_killed(&client, &pipeline, &acknowledged)));
        let killer = async {
            eventually("enough writes", async || {
                (acknowledged.lock().expect("no writer panics").len() >= goal).then_some(())
            })
            .await;
            server.kill();
        };
        tokio::join!(writers, killer);
        server = Server::start(&store, &[]).await;
    }
    let client = server.client();
    for (job, reached) in acknowledged.into_inner().expect("no writer panics") {
        assert_survived(&client, &job, reached).await;
    }
    verify(&client, &store).await;
}

/// Takes jobs through their lives until the server stops answering, and notes what it acknowledged.
async fn write_until_killed(api: &Client, pipeline: &str, acknowledged: &Mutex<Vec<(String, Reached)>>) {
    let note = |job: &str, reached| {
        acknowledged.lock().expect("no writer panics").push((job.to_owned(), reached));
    };
    let post = async |path: String, body: Value| -> Option<Answer> {
        let answer = api.try_send(api.request(Method::POST, &path).json(&body)).await.ok()?;
        assert!(answer.status < 300, "{answer:?}");
        Some(answer)
    };
    loop {
        let launch = json!({"pipeline_id": pipeline, "parameters": {}});
        let Some(launched) = post("/api/pipeline/launch".to_owned(), launch).await else { return };
        let job = id(&launched.json());
        note(&job, Reached::Launched);
        for (step, body, reached) in [
            ("claim", json!({"runner_id": "r"}), Reached::Claimed),
            ("logs", json!([entry(&job)]), Reached::Logged),
            ("complete", json!({"result": success()}), Reached::Completed),
        ] {
            let Some(_) = post(format!("/api/jobs/{job}/{step}"), body).await else { return };
            note(&job, reached);
        }
    }
}

async fn assert_survived(api: &Client, job: &str, reached: Reached) {
    let found = api.job(job).await.expect(200);
    match reached {
        Reached::Launched => assert_eq!(found["parameters"], json!({})),
        Reached::Claimed => assert_eq!(found["runner_id"], "r"),
        Reached::Logged => assert_eq!(api.logs(job).await.expect(200)[0]["message"], job),
        Reached::Completed => assert_eq!(found["status"], "Succeeded"),
    }
}

async fn a_server_that_is_asked_to_end_ends_in_order(kind: StoreKind) {
    let store = Store::create(kind).await;
    let server = Server::start(&store, &[]).await;
    let pipeline = new_pipeline(&server.client()).await;
    let status = server.terminate().await;
    assert!(status.success(), "{status}");
    let server = Server::start(&store, &[]).await;
    server.client().get(&format!("/api/pipeline/{pipeline}")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_waits_for_its_database_ends_when_it_is_asked_to() {
    let store = Store::create(StoreKind::Postgres).await;
    store.open().await.close().await;
    let mut other = PgConnection::connect(store.url()).await.unwrap();
    // As another replica does that migrates.
    other.execute("begin; lock table _sqlx_migrations").await.unwrap();
    let serve = spawn(&mut command(&["serve", "--listen", "127.0.0.1:0", "--database-url", store.url()]));
    eventually("the server to wait", async || {
        let waits =
            "select count(*) from pg_locks where not granted and relation = '_sqlx_migrations'::regclass";
        let waits: i64 = sqlx::query_scalar(waits).fetch_one(&mut other).await.unwrap();
        (waits > 0).then_some(())
    })
    .await;
    signal(&serve, Signal::TERM);
    let ended = finish(serve).await;
    let said = complaint(&ended, 1);
    assert!(said.ends_with("error: ended by SIGTERM before it served\n"), "{said}");
}
