//! Searching jobs by parts of their ids, their pipelines or their runners.

use reqwest::Method;
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{id, ids, launched, pipeline};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use serde_json::Value;

on_both_stores! {
    a_job_is_found_by_either_end_of_its_id,
    jobs_are_found_by_the_name_of_their_pipeline_or_runner,
    a_search_keeps_to_the_filters_and_comes_in_pages,
    what_cannot_be_searched_for_is_refused,
}

async fn found(api: &Client, query: &[(&str, &str)]) -> Vec<String> {
    let request = api.request(Method::GET, "/api/jobs").query(query);
    ids(&api.send(request).await.expect(200))
}

async fn named(api: &Client, name: &str) -> String {
    id(&api.create_pipeline(&pipeline(name)).await.expect(200))
}

async fn a_job_is_found_by_either_end_of_its_id(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = named(&api, "build").await;
    let (first, second) = (launched(&api, &pipeline).await, launched(&api, &pipeline).await);
    for part in [&second[28..], &second[20..], &second[..], &second[28..].to_uppercase()] {
        assert_eq!(found(&api, &[("search", part)]).await, std::slice::from_ref(&second), "{part}");
    }
    // Both were usually launched in the same minute.
    let by_start = found(&api, &[("search", &first[..8])]).await;
    assert!(by_start.contains(&first), "{by_start:?}");
    assert_eq!(found(&api, &[("search", &first[..30])]).await, std::slice::from_ref(&first));
    for part in [&second[29..], "ffffffff", "zzzzzzzz"] {
        assert_eq!(found(&api, &[("search", part)]).await, [""; 0], "{part}");
    }
}

async fn jobs_are_found_by_the_name_of_their_pipeline_or_runner(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let (release, nightly) = (named(&api, "Release 100%").await, named(&api, "nightly_build").await);
    let (released, built) = (launched(&api, &release).await, launched(&api, &nightly).await);
    api.claim(&built, "rack-7_a").await.expect(200);
    api.claim(&released, "RÜCK-\u{c4}").await.expect(200);
    let cases: [(&str, &[&String]); 9] = [
        ("rück", &[&released]),
        ("k-\u{e4}", &[&released]),
        ("release", &[&released]),
        ("0%", &[&released]),
        ("NIGHTLY", &[&built]),
        ("RACK", &[&built]),
        ("7_A", &[&built]),
        ("7%a", &[]),
        ("moon", &[]),
    ];
    for (text, jobs) in cases {
        let jobs: Vec<String> = jobs.iter().map(|job| (*job).clone()).collect();
        assert_eq!(found(&api, &[("search", text)]).await, jobs, "{text}");
    }
    // A runner that is no longer registered is found by its whole name.
    api.delete("/api/runners/rack-7_a").await.expect(204);
    assert_eq!(found(&api, &[("search", "rack-7_a")]).await, [built]);
}

async fn a_search_keeps_to_the_filters_and_comes_in_pages(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let (one, other) = (named(&api, "build one").await, named(&api, "build other").await);
    let mut launched_first = Vec::new();
    for pipeline in [&one, &other, &one, &other, &one] {
        launched_first.push(launched(&api, pipeline).await);
    }
    api.cancel(&launched_first[4]).await.expect(204);
    let newest_first: Vec<String> = launched_first.iter().rev().cloned().collect();
    let mut seen = Vec::new();
    let mut next = Some("/api/jobs?search=build&limit=2".to_owned());
    while let Some(path) = next {
        let page = api.get(&path).await;
        seen.extend(ids(&page.clone().expect(200)));
        next = page.next_page();
    }
    assert_eq!(seen, newest_first);
    let waiting = found(&api, &[("search", "build"), ("status", "Queued,Running")]).await;
    assert_eq!(waiting, newest_first[1..]);
    let path = format!("/api/jobs/pipeline/{one}?search=build&status=Cancelled");
    assert_eq!(ids(&api.get(&path).await.expect(200)), newest_first[..1]);
}

async fn what_cannot_be_searched_for_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let long = "x".repeat(256);
    for query in ["search=", "search=%00", "search=%ff", &format!("search={long}"), "search=x&at=0"] {
        let answer = api.get(&format!("/api/jobs?{query}")).await;
        answer.expect_refusal(400, "invalid_query");
    }
    for number in 0..51 {
        named(&api, &format!("many {number}")).await;
    }
    api.get("/api/jobs?search=MANY").await.expect_refusal(422, "search_too_wide");
    let few: Value = api.get("/api/jobs?search=many%2042").await.expect(200);
    assert_eq!(few.as_array().map(Vec::len), Some(0));
}
