//! Requests through the layer, and what is counted of them.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use tower::ServiceExt;

use super::*;

async fn ask(router: &Router, method: &str, path: &str) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap();
}

#[tokio::test]
async fn requests_are_counted_by_template_method_and_status() {
    let registry = Registry::default();
    let metrics = Arc::new(HttpMetrics::new(&registry));
    let teapot = StatusCode::IM_A_TEAPOT;
    let router = Router::new()
        .route("/things/{id}", get(async || "a thing").delete(async || StatusCode::NO_CONTENT))
        .route("/pot", get(async move || teapot))
        .layer(CountRequests::new(metrics))
        .with_state(());
    for (method, path) in [
        ("GET", "/things/1"),
        ("GET", "/things/2"),
        ("DELETE", "/things/1"),
        ("GET", "/pot"),
        ("PATCH", "/nothing"),
    ] {
        ask(&router, method, path).await;
    }
    let text = registry.text();
    for (route, method, status, count) in [
        ("/things/{id}", "GET", 200, 2),
        ("/things/{id}", "DELETE", 204, 1),
        ("/pot", "GET", 418, 1),
        (UNKNOWN, "other", 404, 1),
    ] {
        let line = format!(
            "rivet_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {count}\n"
        );
        assert!(text.contains(&line), "{line} in {text}");
    }
    assert!(text.contains("rivet_http_requests_in_flight 0\n"), "{text}");
}
