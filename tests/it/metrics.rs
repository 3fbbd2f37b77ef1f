//! The metrics: in the format of Prometheus, correct, available without the database, and covering all that the
//! dashboard and the alerts query.

mod exposition;

use std::collections::BTreeSet;

use reqwest::Method;
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{entry, failure, launched, new_demanding_pipeline, new_job, new_pipeline, success};
use rivet_tests::server::{Server, TestApp};
use rivet_tests::sse::EventStream;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::head;
use rivet_tests::wait::eventually;
use serde_json::{Value, json};

use exposition::{Exposition, parse};

on_both_stores! {
    a_scrape_tells_of_what_happened,
    a_client_of_a_stream_counts_until_it_leaves,
    the_dashboard_and_the_alerts_ask_for_what_there_is,
}

const DASHBOARD: &str = include_str!("../../docs/grafana/rivet.json");
const ALERTS: &str = include_str!("../../docs/alerts/rivet.rules.yml");
const OPERATIONS: &str = include_str!("../../docs/operations.md");
const METRICS: &str = include_str!("../../docs/metrics.md");

async fn scrape(api: &Client) -> Exposition {
    let answer = api.get("/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4"));
    parse(&answer.text).unwrap_or_else(|error| panic!("{error}\n{}", answer.text))
}

/// A scrape that includes what is read from the database; a scrape leaves that out if the database is too slow.
async fn whole_scrape(api: &Client) -> Exposition {
    eventually("a whole scrape", async || {
        let found = scrape(api).await;
        (found.count("rivet_database_up", &[]) == 1).then_some(found)
    })
    .await
}

/// A job that succeeds, one that fails, two that wait for a capability that no runner has, and a claim that comes too
/// late.
async fn traffic(api: &Client) {
    api.register("r", &[]).await.expect(200);
    let pipeline = new_pipeline(api).await;
    for result in [success(), failure()] {
        let job = launched(api, &pipeline).await;
        api.claim(&job, "r").await.expect(200);
        api.claim(&job, "late").await.expect_refusal(409, "already_claimed");
        api.append_logs(&job, &json!([entry("a line")])).await.expect(201);
        api.complete(&job, &result).await.expect(204);
        api.job(&job).await.expect(200);
    }
    let demanding = new_demanding_pipeline(api, &["docker", "gpu"]).await;
    for _ in 0..2 {
        launched(api, &demanding).await;
    }
    // When this is answered, the read models reflect all of it.
    api.get("/api/jobs").await.expect(200);
}

async fn a_scrape_tells_of_what_happened(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    traffic(&api).await;
    let found = whole_scrape(&api).await;
    let command = |command, outcome| {
        found.count(
            "rivet_commands_total",
            &[("aggregate", "job"), ("command", command), ("outcome", outcome)],
        )
    };
    assert_eq!(command("launch", "recorded"), 4);
    assert_eq!(command("claim", "recorded"), 2);
    assert_eq!(command("claim", "refused"), 2);
    assert_eq!(found.count("rivet_jobs_ended_total", &[("status", "Succeeded")]), 1);
    assert_eq!(found.count("rivet_jobs_ended_total", &[("status", "Failed")]), 1);
    assert_eq!(found.count("rivet_job_wait_seconds_count", &[]), 2);
    assert_eq!(found.count("rivet_job_run_seconds_count", &[]), 2);
    assert_eq!(found.count("rivet_queue_waiting_jobs", &[("demands", "docker,gpu")]), 2);
    assert_eq!(found.count("rivet_queue_waiting_jobs", &[("demands", "")]), 0);
    assert_eq!(found.count("rivet_running_jobs", &[]), 0);
    assert!(found.value("rivet_queue_oldest_wait_seconds", &[]) > 0.0);
    assert_eq!(found.count("rivet_runners", &[("status", "Online")]), 2);
    assert_eq!(found.count("rivet_projection_lag_events", &[("projection", "jobs")]), 0);
    assert_eq!(found.count("rivet_projection_parked_streams", &[("projection", "jobs")]), 0);
    let head = head(&api).await;
    assert_eq!(found.count("rivet_log_head_position", &[]), head);
    assert_eq!(found.count("rivet_log_appended_events_total", &[]), head);
    let requests = |route, status| {
        found.count("rivet_http_requests_total", &[("route", route), ("method", "POST"), ("status", status)])
    };
    assert_eq!(requests("/api/jobs/{id}/claim", "200"), 2);
    assert_eq!(requests("/api/jobs/{id}/claim", "409"), 2);
    // The scrape itself is in flight.
    assert_eq!(found.count("rivet_http_requests_in_flight", &[]), 1);
}

async fn a_client_of_a_stream_counts_until_it_leaves(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job(&api).await;
    let paths =
        [("events", "/api/events/stream".to_owned()), ("job_logs", format!("/api/jobs/{job}/logs/stream"))];
    for (stream, path) in paths {
        let clients = async || scrape(&api).await.count("rivet_sse_clients", &[("stream", stream)]);
        assert_eq!(clients().await, 0, "{stream}");
        let (first, second) = (EventStream::open(&api, &path).await, EventStream::open(&api, &path).await);
        assert_eq!(clients().await, 2, "{stream}");
        drop(first);
        eventually("one to have left", async || (clients().await == 1).then_some(())).await;
        drop(second);
        eventually("both to have left", async || (clients().await == 0).then_some(())).await;
    }
}

async fn the_dashboard_and_the_alerts_ask_for_what_there_is(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    traffic(&api).await;
    let found = whole_scrape(&api).await;
    let expressions = dashboard_expressions().into_iter().chain(alerts().into_iter().map(|alert| alert.expr));
    for expression in expressions {
        let names = metric_names(&expression);
        assert!(!names.is_empty(), "{expression} asks for nothing");
        for name in names {
            assert!(found.has(&name), "{name} of {expression} is not measured");
        }
    }
    for family in found.families.keys() {
        assert!(METRICS.contains(&format!("| `{family}` |")), "docs/metrics.md does not explain {family}");
    }
}

fn dashboard_expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("panels are a list");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions: Vec<String> =
        targets.map(|target| target["expr"].as_str().expect("a target has one").to_owned()).collect();
    assert!(expressions.len() > 20);
    expressions
}

/// The parts of an alert that matter here.
struct Alert {
    name: String,
    expr: String,
    severity: String,
    summary: String,
    runbook: String,
}

/// Parses the rules, which have one line per member, without a YAML parser.
fn alerts() -> Vec<Alert> {
    let rules = ALERTS.split("      - alert: ").skip(1).map(|rule| {
        let (name, rest) = rule.split_once('\n').expect("a rule has more than a name");
        let member = |member: &str| {
            let line = rest.lines().find_map(|line| line.trim_start().strip_prefix(&format!("{member}: ")));
            line.unwrap_or_else(|| panic!("{name} has no {member}")).trim_matches('"').to_owned()
        };
        Alert {
            name: name.to_owned(),
            expr: member("expr"),
            severity: member("labels"),
            summary: member("summary"),
            runbook: member("runbook"),
        }
    });
    rules.collect()
}

/// The names of our metrics in an expression, recognised by their prefixes, outside of string literals.
fn metric_names(expression: &str) -> BTreeSet<String> {
    let outside = expression.split('"').step_by(2);
    let words =
        outside.flat_map(|text| text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'));
    words
        .filter(|word| word.starts_with("rivet_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_alert_says_what_to_do() {
    let alerts = alerts();
    assert!(alerts.len() >= 10);
    for Alert { name, severity, summary, runbook, .. } in alerts {
        assert!(["{severity: critical}", "{severity: warning}"].contains(&&*severity), "{name}: {severity}");
        assert!(summary.ends_with('.'), "{name}: {summary}");
        assert_eq!(runbook, format!("docs/operations.md#{}", name.to_lowercase()));
        assert!(OPERATIONS.contains(&format!("\n### {name}\n")), "docs/operations.md has no section {name}");
    }
}

/// Without its database, a server still reports what it knows, and which part of it is not ready.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_during_an_outage_tells_what_is_known() {
    let store = Store::durable(StoreKind::Postgres).await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    traffic(&api).await;
    let ready = api.get("/readyz").await.expect(200);
    assert_eq!(ready["checks"]["log"]["ready"], true, "{ready}");
    store.cluster().stop();
    let unready = eventually("the outage to be noticed", async || {
        let answer = api.get("/readyz").await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    let problem = unready.expect_refusal(503, "unavailable");
    let checks = &problem["checks"];
    assert_eq!(
        (&checks["log"]["ready"], &checks["read_models"]["ready"], &checks["serving"]["ready"]),
        (&json!(false), &json!(true), &json!(true))
    );
    api.send(api.request(Method::GET, "/livez")).await.expect(200);
    let found = scrape(&api).await;
    assert_eq!(found.count("rivet_database_up", &[]), 0);
    assert_eq!(found.count("rivet_jobs_ended_total", &[("status", "Succeeded")]), 1);
    assert!(found.has("process_cpu_seconds_total") && !found.has("rivet_runners"));
    store.cluster().resume().await;
    whole_scrape(&api).await;
}
