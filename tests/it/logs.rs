//! Logs: complete and in order of arrival, each batch entirely or not at all, and never twice.

use reqwest::Method;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{entry, messages, new_claimed_job, new_job, success};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use serde_json::{Value, json};

on_both_stores! {
    entries_come_back_in_order_of_arrival,
    both_bodies_are_accepted,
    a_bad_entry_refuses_its_whole_batch,
    what_many_could_not_read_is_replaced,
    a_long_message_is_kept_whole,
    a_repeated_batch_is_stored_once,
    an_offset_fences_gaps_and_repeats,
    logs_are_accepted_after_the_end,
    a_page_follows_an_index,
    the_end_of_a_log_is_read_by_itself,
}

async fn entries_come_back_in_order_of_arrival(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let sent: Vec<String> = (0..200).map(|number| format!("line {number}")).collect();
    for batch in sent.chunks(7) {
        let entries: Vec<Value> = batch.iter().map(|line| entry(line)).collect();
        api.append_logs(&job, &json!(entries)).await.expect(201);
    }
    let logs = api.logs(&job).await.expect(200);
    assert_eq!(messages(&logs), sent);
    assert_eq!(logs[0]["timestamp"], "2026-01-02T03:04:05.678Z");
    for (place, entry) in logs.as_array().into_iter().flatten().enumerate() {
        assert_eq!(entry["index"], place + 1);
        assert_eq!(entry["attempt"], 1);
    }
}

async fn both_bodies_are_accepted(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    api.append_logs(&job, &json!([entry("a")])).await.expect(201);
    api.append_bare_logs(&job, &json!([entry("b")])).await.expect(201);
    api.append_logs(&job, &json!([])).await.expect(201);
    assert_eq!(messages(&api.logs(&job).await.expect(200)), ["a", "b"]);
}

async fn a_bad_entry_refuses_its_whole_batch(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let mut shouted = entry("loud");
    shouted["level"] = json!("Shout");
    let mut undated = entry("when");
    undated["timestamp"] = json!("yesterday");
    for bad in [shouted, undated, json!({"message": "bare"}), json!("text")] {
        let answer = api.append_logs(&job, &json!([entry("good"), bad])).await;
        answer.assert_problem();
        answer.expect(422);
    }
    let mut ancient = entry("then");
    ancient["timestamp"] = json!("-0001-01-01T00:00:00Z");
    let batch = json!([entry("good"), ancient]);
    for (refused, place) in [
        (api.append_logs(&job, &batch).await, "entries[1].timestamp: the year"),
        (api.append_bare_logs(&job, &batch).await, "[1].timestamp: the year"),
    ] {
        let problem = refused.expect_refusal(422, "invalid_body");
        assert!(problem["detail"].as_str().unwrap().starts_with(place), "{problem}");
    }
    let twice = format!(r#"{{"entries": [{0}], "entries": [{0}]}}"#, entry("good"));
    let path = format!("/api/jobs/{job}/logs");
    let refused = api.send_raw(Method::POST, &path, "application/json", twice).await;
    let problem = refused.expect_refusal(422, "invalid_body");
    assert!(problem["detail"].as_str().unwrap().contains("duplicate field `entries`"), "{problem}");
    assert_eq!(api.logs(&job).await.expect(200), json!([]));
}

async fn what_many_could_not_read_is_replaced(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let mut leap = entry("a\0b");
    leap["timestamp"] = json!("2016-12-31T23:59:60.5Z");
    api.append_logs(&job, &json!([leap])).await.expect(201);
    let logs = api.logs(&job).await.expect(200);
    assert_eq!(messages(&logs), ["a\u{fffd}b"]);
    assert_eq!(logs[0]["timestamp"], "2016-12-31T23:59:59.999999999Z");
}

async fn a_long_message_is_kept_whole(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let long = "0123456789abcdé\n".repeat(600_000);
    api.append_bare_logs(&job, &json!([entry(&long)])).await.expect(201);
    let logs = api.logs(&job).await.expect(200);
    assert!(
        messages(&logs) == [long.as_str()],
        "{} bytes came back",
        logs[0]["message"].as_str().map_or(0, str::len)
    );
}

async fn a_repeated_batch_is_stored_once(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    for batch in [["a", "b"], ["c", "d"], ["a", "b"]] {
        api.append_logs(&job, &json!(batch.map(entry))).await.expect(201);
    }
    assert_eq!(messages(&api.logs(&job).await.expect(200)), ["a", "b", "c", "d"]);
}

async fn an_offset_fences_gaps_and_repeats(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let at = |offset: usize| api.with("rivet-log-offset", &offset);
    // A gap is refused, but still counts as a start.
    at(1).append_logs(&job, &json!([entry("b")])).await.expect(416);
    assert_eq!(api.job(&job).await.expect(200)["phase"], "started");
    at(0).append_logs(&job, &json!([entry("a"), entry("b")])).await.expect(201);
    let gap = at(3).append_logs(&job, &json!([entry("d")])).await;
    gap.expect(416);
    gap.assert_problem();
    assert_eq!(gap.header("rivet-log-ack"), Some("2"));
    at(0).append_logs(&job, &json!([entry("a"), entry("b")])).await.expect(201);
    at(1).append_logs(&job, &json!([entry("b"), entry("c")])).await.expect(201);
    assert_eq!(messages(&api.logs(&job).await.expect(200)), ["a", "b", "c"]);
}

async fn logs_are_accepted_after_the_end(kind: StoreKind) {
    let app = TestApp::start_with(kind, &["--log-grace", "10m"]).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    api.complete(&job, &success()).await.expect(204);
    api.append_logs(&job, &json!([entry("late")])).await.expect(201);
    assert_eq!(messages(&api.logs(&job).await.expect(200)), ["late"]);
    // A job that never ran takes no log.
    let queued = new_job(&api).await;
    api.append_logs(&queued, &json!([entry("early")])).await.expect_refusal(409, "not_running");
}

async fn a_page_follows_an_index(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    api.append_logs(&job, &json!(["a", "b", "c"].map(entry))).await.expect(201);
    api.append_logs(&job, &json!(["d", "e"].map(entry))).await.expect(201);
    let page = api.get(&format!("/api/jobs/{job}/logs?after=1&limit=3")).await.expect(200);
    assert_eq!(messages(&page), ["b", "c", "d"]);
    assert_eq!(messages(&api.get(&format!("/api/jobs/{job}/logs?after=4")).await.expect(200)), ["e"]);
}

async fn the_end_of_a_log_is_read_by_itself(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let tail = async |query: &str| api.get(&format!("/api/jobs/{job}/logs?{query}")).await;
    assert_eq!(tail("tail=3").await.expect(200), json!([]));
    api.append_logs(&job, &json!(["a", "b", "c"].map(entry))).await.expect(201);
    api.append_logs(&job, &json!(["d", "e"].map(entry))).await.expect(201);
    let end = tail("tail=3").await.expect(200);
    assert_eq!((messages(&end), &end[0]["index"]), (vec!["c", "d", "e"], &json!(3)));
    assert_eq!(messages(&tail("tail=9").await.expect(200)), ["a", "b", "c", "d", "e"]);
    for query in ["tail=0", "tail=-1", "tail=1&after=2", "tail=1&limit=2"] {
        tail(query).await.expect_refusal(400, "invalid_query");
    }
}
