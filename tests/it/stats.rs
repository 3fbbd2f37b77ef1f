//! Figures for dashboards: they match the jobs, whatever happens to the jobs, and whether the read models were
//! followed or rebuilt.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use rivet_orchestrator::clock::ManualClock;
use rivet_orchestrator::config::Config;
use rivet_tests::client::Client;
use rivet_tests::local_server::LocalServer;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{failure, launched, new_pipeline, pipeline, success};
use rivet_tests::server::TestApp;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::rebuild_all;
use serde_json::{Value, json};

on_both_stores! {
    the_figures_are_those_of_the_jobs,
    the_last_minutes_are_told_one_by_one,
    a_rebuild_changes_no_figure,
}

async fn stats(api: &Client) -> Value {
    api.get("/api/stats").await.expect(200)
}

async fn end(api: &Client, job: &str, result: &Value) {
    api.claim(job, "r1").await.expect(200);
    api.complete(job, result).await.expect(204);
}

async fn the_figures_are_those_of_the_jobs(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let nothing = json!({
        "queued": 0, "running": 0, "oldest_waiting_seconds": 0.0,
        "runners": {"online": 0, "busy": 0, "offline": 0}, "by_pipeline": [],
    });
    assert_eq!(stats(&api).await, nothing);

    let (idle, busy) = (new_pipeline(&api).await, new_pipeline(&api).await);
    api.register("r1", &[]).await.expect(200);
    api.register("r2", &[]).await.expect(200);
    for result in [success(), failure(), success()] {
        end(&api, &launched(&api, &busy).await, &result).await;
    }
    let cancelled = launched(&api, &busy).await;
    api.cancel(&cancelled).await.expect(204);
    let held = launched(&api, &busy).await;
    api.claim(&held, "r1").await.expect(200);
    launched(&api, &busy).await;

    let found = stats(&api).await;
    assert_eq!((&found["queued"], &found["running"]), (&json!(1), &json!(1)));
    assert!(found["oldest_waiting_seconds"].as_f64() > Some(0.0), "{found}");
    assert_eq!(found["runners"], json!({"online": 1, "busy": 1, "offline": 0}));
    let figures = |id: &str, n: [u64; 6]| {
        json!({
            "pipeline_id": id, "name": "build", "queued": n[0], "running": n[1], "succeeded": n[2],
            "failed": n[3], "cancelled": n[4], "timed_out": n[5],
        })
    };
    let (idle_figures, busy_figures) = (figures(&idle, [0; 6]), figures(&busy, [1, 1, 2, 1, 1, 0]));
    assert_eq!(found["by_pipeline"], json!([busy_figures, idle_figures]));

    // A deleted pipeline is listed as long as jobs of it run; its waiting jobs are cancelled.
    for pipeline in [&idle, &busy] {
        api.delete(&format!("/api/pipeline/{pipeline}")).await.expect(204);
    }
    let found = stats(&api).await;
    assert_eq!(found["by_pipeline"], json!([figures(&busy, [0, 1, 2, 1, 2, 0])]));
    assert_eq!(found["oldest_waiting_seconds"], 0.0);
    api.complete(&held, &success()).await.expect(204);
    assert_eq!(stats(&api).await["by_pipeline"], json!([]));
}

async fn the_last_minutes_are_told_one_by_one(kind: StoreKind) {
    let store = Store::create(kind).await;
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
    let server = LocalServer::start(Config::for_tests(store.url()), clock.clone()).await;
    let api = server.client();
    let pipeline = new_pipeline(&api).await;
    let (first, second) = (launched(&api, &pipeline).await, launched(&api, &pipeline).await);
    clock.advance(Duration::from_mins(2));
    api.claim(&first, "r1").await.expect(200);
    clock.advance(Duration::from_mins(1));
    api.complete(&first, &success()).await.expect(204);
    api.cancel(&second).await.expect(204);

    let told = api.get("/api/stats/history?minutes=5").await.expect(200);
    let column = |name: &str| -> Vec<Value> {
        told.as_array().unwrap().iter().map(|point| point[name].clone()).collect()
    };
    assert_eq!(column("launched"), [0, 2, 0, 0, 0]);
    assert_eq!(column("claimed"), [0, 0, 0, 1, 0]);
    assert_eq!(column("queued"), [0, 2, 2, 1, 0]);
    assert_eq!(column("running"), [0, 0, 0, 1, 0]);
    assert_eq!((column("succeeded")[4].clone(), column("cancelled")[4].clone()), (json!(1), json!(1)));
    assert_eq!(
        column("average_wait_seconds"),
        [json!(null), json!(null), json!(null), json!(120.0), json!(null)]
    );
    assert_eq!(column("minute")[4], "2027-01-15T08:03:00Z");
    for minutes in ["0", "1441", "many"] {
        api.get(&format!("/api/stats/history?minutes={minutes}")).await.expect_refusal(400, "invalid_query");
    }
    assert_eq!(api.get("/api/stats/history").await.expect(200).as_array().unwrap().len(), 60);
    server.stop().await;
}

async fn a_rebuild_changes_no_figure(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let id = new_pipeline(&api).await;
    for _ in 0..3 {
        end(&api, &launched(&api, &id).await, &success()).await;
    }
    launched(&api, &id).await;
    let mut revised = pipeline("renamed");
    revised["description"] = json!(null);
    api.create_pipeline(&revised).await.expect(200);
    let (before, minutes) = (stats(&api).await, api.get("/api/stats/history").await.expect(200));
    rebuild_all(&api, &app.store).await;
    let (after, minutes_after) = (stats(&api).await, api.get("/api/stats/history").await.expect(200));
    for member in ["queued", "running", "runners", "by_pipeline"] {
        assert_eq!(before[member], after[member], "{member}");
    }
    let launched = |minutes: &Value| -> u64 {
        minutes.as_array().unwrap().iter().filter_map(|minute| minute["launched"].as_u64()).sum()
    };
    assert_eq!((launched(&minutes), launched(&minutes_after)), (4, 4));
}
