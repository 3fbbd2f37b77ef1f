//! The archive: logs of ended jobs leave the database, and readers get the same answers as before.

mod compaction;
mod index;
mod place;
mod retention;

use std::fs;
use std::time::Duration;

use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{entry, id, new_claimed_job, new_job, new_pipeline, success};
use rivet_tests::sse::EventStream;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::{list, rebuild_all, recorded};
use rivet_tests::wait::eventually;
use serde_json::{Value, json};

use self::place::{ARCHIVE, Place, append_long_logs, append_streams, assert_archived, new_logged_job, said};
use rivet_tests::program::{json_lines, printed, run_on};

on_both_stores! {
    an_archived_log_is_read_as_before,
    what_is_younger_or_runs_stays_where_it_is,
    an_archived_log_takes_nothing_more,
    a_segment_that_is_damaged_before_its_release_loses_nothing,
    a_damaged_segment_is_told_by_a_verification_and_to_readers,
    an_archiver_that_is_killed_is_succeeded,
    a_server_archives_by_itself,
}

/// All answers about the log of a job.
async fn answers(place: &Place, client: &Client, job: &str) -> Vec<String> {
    let mut answers = vec![client.logs(job).await.text];
    for (after, limit) in [(0, 1), (0, 7), (3, 10), (6, 1), (7, 1000), (400, 33), (1_000_000, 5)] {
        let page = client.get(&format!("/api/jobs/{job}/logs?after={after}&limit={limit}")).await;
        page.expect(200);
        answers.push(page.text);
    }
    for tail in [1, 5, 1000] {
        let end = client.get(&format!("/api/jobs/{job}/logs?tail={tail}")).await;
        end.expect(200);
        answers.push(end.text);
    }
    let mut stream = EventStream::open(client, &format!("/api/jobs/{job}/logs/stream?after=2")).await;
    while let Some(message) = stream.next().await {
        answers.push(format!("{message:?}"));
    }
    answers.push(client.history(job).await.text);
    let replay = place.run(&["replay", "--json", &format!("job_log/{job}")]).await;
    answers.push(format!("{:?}", replay.stdout));
    answers
}

async fn an_archived_log_is_read_as_before(kind: StoreKind) {
    let place = Place::new(kind).await;
    let server = place.server(&[]).await;
    let client = server.client();
    let mut jobs = Vec::new();
    // The last log takes several blocks.
    for batches in [1, 3, 0, 2, 150] {
        jobs.push(new_logged_job(&client, batches).await);
    }
    let mut before = Vec::new();
    for job in &jobs {
        before.push(answers(&place, &client, job).await);
    }
    let rows = place.log_rows().await;

    assert_archived(&place.archive().await, "archived 4 logs with 1,092 entries in 1 segments");
    assert_eq!((rows, place.log_rows().await, place.segments().len()), (156, 0, 1));
    for (job, before) in jobs.iter().zip(&before) {
        assert_eq!(&answers(&place, &client, job).await, before);
    }
    place.assert_proven().await;

    // The event log records what was archived.
    let payload = &recorded(&client, "archive.segment_archived").await[0]["payload"];
    let segment = fs::read(&place.segments()[0]).unwrap();
    assert_eq!(payload["sha256"], rivet_events::segments::format::sha256(&segment));
    assert_eq!((&payload["events"], &payload["bytes"]), (&json!(156), &json!(segment.len())));
    let replay = place.run(&["replay", "archive/job_logs"]).await;
    assert!(printed(&replay).contains("archive.segment_released"), "{replay:?}");

    // A rebuild gives the same read models as following the log, and so does another server.
    assert!(place.run(&["rebuild"]).await.status.success());
    place.assert_proven().await;
    assert_archived(&place.archive().await, "archived 0 logs");
    server.terminate().await;
    let server = place.server(&[]).await;
    for (job, before) in jobs.iter().zip(&before) {
        assert_eq!(&answers(&place, &server.client(), job).await, before);
    }
}

async fn what_is_younger_or_runs_stays_where_it_is(kind: StoreKind) {
    let place = Place::new(kind).await;
    let server = place.server(&[]).await;
    let client = server.client();
    let ended = new_logged_job(&client, 2).await;
    let running = new_claimed_job(&client, "r2").await;
    client.append_logs(&running, &json!([entry("it runs")])).await.expect(201);
    let waiting = new_job(&client).await;

    assert_archived(&place.run(&["archive", "--older-than", "1h"]).await, "archived 0 logs");
    assert_eq!((place.log_rows().await, place.segments().len()), (3, 0));
    // A log that may still grow cannot be archived.
    let refused = place.run(&["archive", "--older-than", "1m"]).await;
    assert!(!refused.status.success() && said(&refused).contains("--log-grace"), "{refused:?}");

    assert_archived(&place.archive().await, "archived 1 logs");
    assert_eq!(place.log_rows().await, 1);
    client.append_logs(&running, &json!([entry("and runs")])).await.expect(201);
    client.complete(&running, &success()).await.expect(204);
    assert_eq!(client.logs(&running).await.expect(200).as_array().map(Vec::len), Some(2));
    assert_eq!(client.logs(&ended).await.expect(200).as_array().map(Vec::len), Some(14));
    assert_eq!(client.logs(&waiting).await.expect(200), json!([]));
    assert_archived(&place.archive().await, "archived 1 logs");
    assert_eq!((place.log_rows().await, place.segments().len()), (0, 2));
    place.assert_proven().await;
}

async fn an_archived_log_takes_nothing_more(kind: StoreKind) {
    let place = Place::new(kind).await;
    let server = place.server(&[]).await;
    let client = server.client();
    let job = new_logged_job(&client, 2).await;
    // The servers still accept log entries of this job.
    let late = json!([entry("late")]);
    client.append_logs(&job, &late).await.expect(201);
    let before = client.logs(&job).await.text;
    assert_archived(&place.archive().await, "archived 1 logs with 15 entries");
    for client in [client.clone(), client.with("rivet-log-offset", &0), client.with("rivet-log-offset", &15)]
    {
        client.append_logs(&job, &late).await.expect_refusal(409, "log_sealed");
    }
    assert_eq!(client.logs(&job).await.text, before);
    place.assert_proven().await;
}

async fn a_segment_that_is_damaged_before_its_release_loses_nothing(kind: StoreKind) {
    let place = Place::new(kind).await;
    let server = place.server(&[]).await;
    let client = server.client();
    let job = new_logged_job(&client, 5).await;
    let before = client.logs(&job).await.text;

    // Nothing is deleted from the log while a read model is being rebuilt, so the archiver waits between recording
    // the segment and releasing it. It is killed there.
    place.kill_after(&client, &ARCHIVE, "archive.segment_archived").await;
    assert_eq!(place.log_rows().await, 5);

    let segment = place.segments()[0].clone();
    let whole = fs::read(&segment).unwrap();
    for damaged in [whole[..whole.len() / 2].to_vec(), [&whole[..], b"x"].concat()] {
        fs::write(&segment, damaged).unwrap();
        let refused = place.archive().await;
        assert!(!refused.status.success() && said(&refused).contains("SHA-256"), "{refused:?}");
        assert_eq!((place.log_rows().await, client.logs(&job).await.text.as_str()), (5, before.as_str()));
    }
    fs::remove_file(&segment).unwrap();
    assert!(!place.archive().await.status.success());
    assert_eq!(place.log_rows().await, 5);

    fs::write(&segment, whole).unwrap();
    assert_archived(&place.archive().await, "archived 1 logs with 35 entries");
    assert_eq!((place.log_rows().await, client.logs(&job).await.text), (0, before));
    place.assert_proven().await;
}

async fn a_damaged_segment_is_told_by_a_verification_and_to_readers(kind: StoreKind) {
    let place = Place::new(kind).await;
    let server = place.server(&[]).await;
    let client = server.client();
    let job = new_logged_job(&client, 5).await;
    assert_archived(&place.archive().await, "archived 1 logs");
    let segment = place.segments()[0].clone();
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let refused = client.logs(&job).await.expect_refusal(503, "unavailable");
    assert_eq!(refused["detail"], "an archived log cannot be read");
    let verified = place.run(&["verify", "--json"]).await;
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
    let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
    let [fault] = &report["log_faults"].as_array().unwrap()[..] else { panic!("{report}") };
    let fault = fault.as_str().unwrap();
    assert!(fault.contains("with 5 events of positions ") && fault.contains("SHA-256"), "{fault}");
    assert_eq!(report["differences"], json!([]));
    bytes[middle] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    assert_eq!(client.logs(&job).await.expect(200).as_array().map(Vec::len), Some(35));
    place.assert_proven().await;
}

async fn all_logs(client: &Client) -> Vec<(String, String)> {
    let mut logs = Vec::new();
    for job in list(client, "/api/jobs").await {
        let job = id(&job);
        logs.push((job.clone(), client.logs(&job).await.text));
    }
    logs.sort();
    logs
}

async fn an_archiver_that_is_killed_is_succeeded(kind: StoreKind) {
    let place = Place::new(kind).await;
    append_long_logs(&place, 600).await;
    let server = place.server(&["--log-grace", "1s"]).await;
    let client = server.client();
    let before = all_logs(&client).await;
    let rows = place.log_rows().await;
    let options = ["--older-than", "30d"];
    place.kill_after(&client, &options, "archive.segment_archived").await;
    assert_eq!(place.log_rows().await, rows);
    // The events of a segment are deleted by several transactions.
    let mut archiver = place.begin(&options);
    eventually("events to be deleted", async || (place.log_rows().await < rows).then_some(())).await;
    archiver.kill().await.unwrap();
    for kill in 1..=4 {
        // Each archiver is killed a little later than the one before, wherever it is then.
        archiver = place.begin(&options);
        let _ = tokio::time::timeout(Duration::from_millis(100 * kill), archiver.wait()).await;
        archiver.kill().await.unwrap();
    }
    assert_archived(&place.run(&["archive", "--older-than", "30d"]).await, "archived ");
    let left = place.log_rows().await;
    assert!(left < rows / 2, "{left} of {rows}");
    assert_eq!(all_logs(&client).await, before);
    place.assert_proven().await;
    // The logs that are left are those of jobs that have not ended.
    assert_archived(&place.run(&["archive", "--older-than", "30d"]).await, "archived 0 logs");
}

async fn a_server_archives_by_itself(kind: StoreKind) {
    let place = Place::new(kind).await;
    append_streams(&place, 50).await;
    let server = place.server(&[]).await;
    let before = all_logs(&server.client()).await;
    server.terminate().await;
    let server = place.server(&["--archive-after", "30d"]).await;
    let client = server.client();
    eventually("the segment to be released", async || {
        (recorded(&client, "archive.segment_released").await.len() == 1).then_some(())
    })
    .await;
    assert_eq!(all_logs(&client).await, before);
    // The same server rebuilds the read models from an event log that has no entries of these logs any more.
    rebuild_all(&client, &place.store).await;
    assert_eq!(all_logs(&client).await, before);
    let pipeline = new_pipeline(&client).await;
    client.launch(&pipeline, &json!({})).await.expect(200);
    place.assert_proven().await;
    let list = place.run(&["events", "list", "--json", "--limit", "1000000"]).await;
    let positions: Vec<u64> =
        json_lines(printed(&list)).iter().map(|event| event["position"].as_u64().unwrap()).collect();
    assert!(positions.is_sorted() && positions.len() < usize::try_from(*positions.last().unwrap()).unwrap());
}

/// Over PostgreSQL there is no default archive, since replicas share no directory by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_over_postgres_is_told_where_its_archive_is() {
    let store = Store::create(StoreKind::Postgres).await;
    let refused = run_on(&store, &["serve", "--listen", "127.0.0.1:0", "--archive-after", "30d"]).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(said(&refused).contains("--archive-after needs --archive-url"), "{refused:?}");
    run_on(&store, &["migrate"]).await;
    let refused = run_on(&store, &["archive", "--older-than", "30d"]).await;
    assert!(said(&refused).contains("where archived job logs are kept is not known"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_archived_where_nobody_knows_is_not_verified() {
    let place = Place::new(StoreKind::Postgres).await;
    let server = place.server(&[]).await;
    new_logged_job(&server.client(), 5).await;
    printed(&run_on(&place.store, &["verify"]).await);
    assert_archived(&place.archive().await, "archived 1 logs");
    let refused = run_on(&place.store, &["verify"]).await;
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0), "{refused:?}");
    assert!(
        said(&refused).ends_with("where archived job logs are kept is not known: set --archive-url\n"),
        "{refused:?}"
    );
    place.assert_proven().await;
}
