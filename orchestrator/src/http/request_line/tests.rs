//! Ids and log lines of requests.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use axum::body::Body;
use axum::routing::get;
use axum::{Extension, Router, middleware};
use chrono::DateTime;
use serde_json::Value;
use tower::ServiceExt;
use tracing::Dispatch;
use tracing_subscriber::util::SubscriberInitExt;

use super::*;
use crate::metrics::Metrics;

/// Collects what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn take(&self) -> Vec<Value> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Two subscribers that exist from before the first log line until the end of the tests.
///
/// `tracing` caches for the whole process whether any subscriber is interested in a log line. With at most one
/// subscriber, it asks only the default subscriber of the thread that reaches the line first; a thread without one
/// would silence the line for all. With two, it asks all subscribers.
static LASTING: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(tracing_subscriber::registry())));

fn capture() -> (Lines, impl Drop) {
    LazyLock::force(&LASTING);
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .json()
        .flatten_event(true)
        .with_current_span(false);
    (lines, log.set_default())
}

fn router() -> Router {
    LazyLock::force(&LASTING);
    let metrics = Metrics::new(DateTime::UNIX_EPOCH).http;
    Router::new()
        .route("/id", get(|Extension(id): Extension<RequestId>| async move { id.0 }))
        .route("/api/jobs/scheduled", get(|| async {}))
        .route("/api/projections/{name}/parked", get(|| async {}))
        .route("/broken/{id}", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route(
            "/runner",
            get(|| async {
                note_runner(&"r 1".parse().unwrap());
                StatusCode::CONFLICT
            }),
        )
        .route("/never", get(std::future::pending::<()>))
        .layer(middleware::from_fn_with_state(metrics, request_context))
}

fn request(path: &str) -> Request {
    Request::builder().uri(path).header(REQUEST_ID, "given").body(Body::empty()).unwrap()
}

async fn line_of(path: &str) -> Value {
    let (lines, _guard) = capture();
    router().oneshot(request(path)).await.unwrap();
    let mut lines = lines.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

#[tokio::test]
async fn a_sane_request_id_is_taken_over_and_echoed() {
    let answer = router().oneshot(request("/id")).await.unwrap();
    assert_eq!(answer.headers()[REQUEST_ID], "given");
    let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
    assert_eq!(body, "given");
}

#[tokio::test]
async fn any_other_request_id_is_replaced() {
    let long = "x".repeat(129);
    for sent in [None, Some(""), Some("two words"), Some("ä"), Some(&*long)] {
        let request = match sent {
            Some(id) => Request::builder().uri("/id").header(REQUEST_ID, id.as_bytes()),
            None => Request::builder().uri("/id"),
        };
        let answer = router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let id = answer.headers()[REQUEST_ID].to_str().unwrap();
        assert!(id.parse::<uuid::Uuid>().is_ok(), "{sent:?} became {id}");
    }
}

#[tokio::test]
async fn a_request_is_one_line() {
    let line = line_of("/runner?token=secret").await;
    let member = |name: &str| line[name].clone();
    assert_eq!((member("level"), member("target")), ("INFO".into(), "http.request".into()));
    assert_eq!((member("http.method"), member("http.status")), ("GET".into(), 409.into()));
    assert_eq!((member("http.path"), member("http.route")), ("/runner".into(), "/runner".into()));
    assert!(member("duration_ms").is_u64());
    assert_eq!(line["spans"][0]["request.id"], "given");
    assert_eq!(line["spans"][0]["runner.id"], "r 1");
}

#[tokio::test]
async fn the_level_of_a_line_says_who_must_act() {
    assert_eq!(line_of("/id").await["level"], "INFO");
    assert_eq!(line_of("/unknown").await["level"], "INFO");
    for polled in ["/api/jobs/scheduled", "/api/projections/jobs/parked"] {
        assert_eq!(line_of(polled).await["level"], "DEBUG");
    }
    assert_eq!(line_of("/busy").await["level"], "WARN");
    let broken = line_of("/broken/7").await;
    assert_eq!((&broken["level"], &broken["http.route"]), (&"ERROR".into(), &"/broken/{id}".into()));
}

#[tokio::test]
async fn a_filter_for_warnings_leaves_an_error_its_request_id() {
    LazyLock::force(&LASTING);
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_env_filter("warn").with_writer(move || writer.clone());
    let _guard = log.json().flatten_event(true).with_current_span(false).set_default();
    for path in ["/id", "/broken/7"] {
        router().oneshot(request(path)).await.unwrap();
    }
    let lines = lines.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["level"], &lines[0]["spans"][0]["request.id"]), (&"ERROR".into(), &"given".into()));
}

#[tokio::test]
async fn a_request_whose_client_went_away_has_its_line_too() {
    let (lines, _guard) = capture();
    let answer = router().oneshot(request("/never"));
    tokio::select! {
        biased;
        _ = answer => unreachable!("it never answers"),
        () = std::future::ready(()) => {}
    }
    let line = lines.take().remove(0);
    assert_eq!((&line["level"], &line["message"]), (&"DEBUG".into(), &"abandoned by the client".into()));
    assert_eq!(line["spans"][0]["request.id"], "given");
}
