//! A pipeline with more versions than are read from the log at once, and one with a version that cannot be read.

use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{id, pipeline};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use serde_json::{Value, json};

on_both_stores! {
    a_long_history_is_read_in_parts,
    beside_a_version_that_cannot_be_read_the_others_keep_their_numbers,
}

async fn a_long_history_is_read_in_parts(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let id = id(&api.create_pipeline(&pipeline("v1")).await.expect(200));
    for number in 2..=40 {
        api.revise(&id, &pipeline(&format!("v{number}"))).await.expect(200);
    }
    expect_forty_versions(&api, &id, Some(40)).await;
    api.delete(&format!("/api/pipeline/{id}")).await.expect(204);
    expect_forty_versions(&api, &id, None).await;
    let path = format!("/api/pipeline/{id}/versions?limit=0");
    api.get(&path).await.expect_refusal(400, "invalid_query");
}

/// Reads the versions `v1` to `v40` in pages, alone and in pairs.
async fn expect_forty_versions(api: &Client, id: &str, current: Option<u64>) {
    let path = format!("/api/pipeline/{id}");
    let newest_first: Vec<u64> = (1..=40).rev().collect();
    // Pages that end before, at and after what is read from the log at once.
    for limit in [7, 16, 17, 40] {
        let (mut seen, mut next) = (Vec::new(), Some(format!("{path}/versions?limit={limit}")));
        while let Some(path) = next {
            let page = api.get(&path).await;
            let versions = page.expect(200).as_array().unwrap().clone();
            assert!(versions.len() == limit || page.next_page().is_none(), "{limit}: {versions:?}");
            seen.extend(versions);
            next = page.next_page();
        }
        assert_eq!(seen.iter().map(number).collect::<Vec<_>>(), newest_first);
        assert!(seen.iter().all(|version| version["name"] == format!("v{}", number(version))));
        let found = seen.iter().find(|version| version["current"] == true);
        assert_eq!(found.map(number), current);
    }
    for (before, newest) in [(0, 0), (1, 0), (2, 1), (20, 19), (40, 39), (41, 40), (u32::MAX, 40)] {
        let page = api.get(&format!("{path}/versions?before={before}")).await.expect(200);
        let numbers: Vec<u64> = page.as_array().unwrap().iter().map(number).collect();
        assert_eq!(numbers, (1..=newest).rev().collect::<Vec<u64>>(), "{before}");
    }
    for number in [1, 19, 40] {
        let version = api.get(&format!("{path}/versions/{number}")).await.expect(200);
        assert_eq!((&version["version"], &version["name"]), (&json!(number), &json!(format!("v{number}"))));
        assert_eq!(version["current"], current == Some(number));
    }
    for number in [0, 41, 42] {
        api.get(&format!("{path}/versions/{number}")).await.expect_refusal(404, "version_not_found");
        api.get(&format!("{path}/diff?to={number}")).await.expect_refusal(404, "version_not_found");
    }
    for (query, from, to) in [("?from=7&to=19", "v7", "v19"), ("?to=3", "v2", "v3"), ("", "v39", "v40")] {
        let diff = api.get(&format!("{path}/diff{query}")).await.expect(200);
        assert_eq!(diff["settings"], json!([{"setting": "name", "from": from, "to": to}]));
    }
}

async fn beside_a_version_that_cannot_be_read_the_others_keep_their_numbers(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let id = id(&api.create_pipeline(&pipeline("v1")).await.expect(200));
    for name in ["v2", "v3"] {
        api.revise(&id, &pipeline(name)).await.expect(200);
    }
    let damage =
        format!("update events set event_version = 'two' where aggregate_id = '{id}' and sequence = 2");
    app.store.execute(&damage).await;
    let path = format!("/api/pipeline/{id}/versions");
    let readable = api.get(&path).await.expect(200);
    assert_eq!(readable.as_array().unwrap().iter().map(number).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(api.get(&format!("{path}/3")).await.expect(200)["name"], "v3");
    api.get(&format!("{path}/2")).await.expect_refusal(404, "version_not_found");
}

fn number(version: &Value) -> u64 {
    version["version"].as_u64().unwrap()
}
