//! Serving the dashboard: its page at all of its addresses, its files with a lifetime without end, and never instead
//! of an answer of the API. `tests/browser` tests what the page does.

use std::collections::BTreeSet;

use reqwest::{Method, Response, StatusCode};
use rivet_events::Event;
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;

const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// Where the dashboard says which events change what its pages show.
const FEED: &str = include_str!("../../orchestrator/ui/src/live/feed.js");
/// Where it says in words what each event is.
const DESCRIBE: &str = include_str!("../../orchestrator/ui/src/events/describe.js");
/// What changes no page by itself: it comes too often, or is shown by pages that ask anew from time to time.
const CHANGES_NO_PAGE: [&str; 7] =
    ["job_log.", "runner.heartbeat_recorded", "claim.", "group.", "projection.", "webhook.", "archive."];

#[test]
fn the_dashboard_knows_every_event() {
    let types: BTreeSet<&str> = Event::types().collect();
    assert_eq!(quoted(DESCRIBE, "SENTENCES"), types, "orchestrator/ui/src/events/describe.js");
    let changes = |event: &&str| !CHANGES_NO_PAGE.iter().any(|quiet| event.starts_with(quiet));
    let changing: BTreeSet<&str> = types.into_iter().filter(changes).collect();
    assert_eq!(quoted(FEED, "TYPES"), changing, "orchestrator/ui/src/live/feed.js");
}

/// The types of events that begin a line of this constant.
fn quoted<'a>(source: &'a str, constant: &str) -> BTreeSet<&'a str> {
    let (_, from) = source.split_once(&format!("const {constant} = ")).expect("the constant is there");
    let lines = from.lines().skip(1).take_while(|line| !line.starts_with(['}', ']']));
    lines.filter_map(|line| line.trim_start().strip_prefix('"')?.split('"').next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_gets_the_page_wherever_it_goes_and_nobody_else_does() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    for path in ["/", "/jobs", "/jobs/some?at=1", "/pipelines/new", "/api-is-no-api"] {
        let page = get(&app, path, HTML).await;
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(header(&page, "cache-control"), "no-cache", "{path}");
        assert!(header(&page, "content-security-policy").contains("script-src 'self' 'sha256-"), "{path}");
    }
    for (path, accept) in [("/jobs", "*/*"), ("/api/nothing", HTML), ("/api", HTML), ("/assets/x/y", HTML)] {
        let refused = get(&app, path, accept).await;
        assert_eq!(refused.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(header(&refused, "content-type"), "application/problem+json", "{path}");
    }
    let posted = app.client().request(Method::POST, "/jobs").header("accept", HTML).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_that_the_page_names_is_there_with_its_type_and_a_tag() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let page = get(&app, "/", HTML).await.text().await.unwrap();
    let files: Vec<&str> = page.split('"').filter(|text| text.starts_with("/assets/")).collect();
    assert!(files.len() > 8, "{page}");
    for path in files {
        let file = get(&app, path, "*/*").await;
        assert_eq!(file.status(), StatusCode::OK, "{path}");
        let kind = match path.rsplit('.').next() {
            Some("js" | "mjs") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(header(&file, "content-type"), kind, "{path}");
        let tag = header(&file, "etag").to_owned();
        let again =
            app.client().request(Method::GET, path).header("if-none-match", tag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_compressed_for_who_can_read_them_so() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let request = app.client().request(Method::GET, "/").header("accept-encoding", "gzip");
    assert_eq!(header(&request.send().await.unwrap(), "content-encoding"), "gzip");
    assert_eq!(header(&get(&app, "/", HTML).await, "content-encoding"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_can_send_no_command() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let from = |origin| app.client().with("origin", origin);
    from("http://evil.example").register("r", &[]).await.expect_refusal(403, "cross_site");
    app.client().get("/api/runners/r").await.expect_refusal(404, "runner_not_found");
    from("http://127.0.0.1:1234").register("r", &[]).await.expect(200);
}

async fn get(app: &TestApp, path: &str, accept: &str) -> Response {
    app.client().request(Method::GET, path).header("accept", accept).send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}
