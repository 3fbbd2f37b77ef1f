//! Retention: nothing is left of jobs that ended longer ago than `--keep`.

use std::collections::BTreeMap;
use std::time::Duration;

use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::id;
use rivet_tests::store::StoreKind;
use rivet_tests::verify::rebuild_all;
use rivet_tests::wait::eventually;
use serde_json::Value;

use super::place::{Place, assert_archived, new_logged_job, recorded, said, tell_stories};
use crate::cli::{json_lines, printed};

on_both_stores! { jobs_that_are_not_kept_are_forgotten, a_server_forgets_by_itself }

/// All jobs by id, without what depends on which runners are online.
async fn all_jobs(client: &Client) -> BTreeMap<String, Value> {
    let jobs = rivet_tests::verify::list(client, "/api/jobs").await;
    let without_wait = |mut job: Value| {
        job.as_object_mut().unwrap().remove("waiting");
        (id(&job), job)
    };
    jobs.into_iter().map(without_wait).collect()
}

/// The jobs that ended years ago.
fn ended_long_ago(jobs: &BTreeMap<String, Value>) -> Vec<String> {
    let long_ago = |job: &&Value| job["completed_at"].as_str().is_some_and(|time| time < "2024");
    jobs.values().filter(long_ago).map(id).collect()
}

async fn assert_forgotten(place: &Place, client: &Client, jobs: &[String]) {
    for job in jobs {
        client.job(job).await.expect_refusal(404, "job_not_found");
        client.logs(job).await.expect_refusal(404, "job_not_found");
        client.history(job).await.expect_refusal(404, "job_not_found");
    }
    let list = place.run(&["events", "list", "--json", "--limit", "1000000"]).await;
    for event in json_lines(printed(&list)) {
        let stream = event["stream_id"].as_str().unwrap();
        assert!(!jobs.iter().any(|job| job == stream), "{event}");
    }
}

/// No recorded segment is left. A killed archiver may have left objects that it had not recorded yet.
async fn assert_no_segment_is_left(place: &Place, client: &Client) {
    let archived = recorded(client, "archive.segment_archived").await;
    let objects: Vec<&str> = archived.iter().map(|archived| archived["object"].as_str().unwrap()).collect();
    assert!(!objects.is_empty());
    let left = place.segments();
    assert!(!left.iter().any(|file| objects.iter().any(|object| file.ends_with(object))), "{left:?}");
}

async fn jobs_that_are_not_kept_are_forgotten(kind: StoreKind) {
    let place = Place::new(kind).await;
    tell_stories(&place, 1_500).await;
    let server = place.server(&["--log-grace", "1s"]).await;
    let client = server.client();
    let kept = new_logged_job(&client, 2).await;
    let before = all_jobs(&client).await;
    let forgotten = ended_long_ago(&before);
    assert!(forgotten.len() > 500 && !forgotten.contains(&kept), "{} of {}", forgotten.len(), before.len());

    let refused = place.run(&["archive", "--older-than", "30d", "--keep", "1h"]).await;
    assert!(!refused.status.success() && said(&refused).contains("48h"), "{refused:?}");
    // Archivers are killed before they delete anything, and then wherever they are.
    place.kill_after(&client, &["--older-than", "30d"], "archive.segment_archived").await;
    assert_archived(&place.run(&["archive", "--older-than", "30d"]).await, "in 1 segments");
    place.kill_after(&client, &["--older-than", "30d", "--keep", "60d"], "archive.purge_begun").await;
    assert_eq!(recorded(&client, "archive.jobs_purged").await, Vec::<Value>::new());
    for kill in 1..=4 {
        let mut archiver = place.begin(&["--older-than", "30d", "--keep", "60d"]);
        let _ = tokio::time::timeout(Duration::from_millis(300 * kill), archiver.wait()).await;
        archiver.kill().await.unwrap();
    }
    let archived = place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await;
    assert!(archived.status.success(), "{archived:?}");

    // The other jobs remain, and may go on meanwhile.
    let left = || async { all_jobs(&client).await.into_keys().collect::<Vec<String>>() };
    let expected: Vec<String> = before.keys().filter(|job| !forgotten.contains(job)).cloned().collect();
    assert_eq!(left().await, expected);
    assert_eq!(all_jobs(&client).await.get(&kept), before.get(&kept));
    assert_forgotten(&place, &client, &forgotten).await;
    assert_no_segment_is_left(&place, &client).await;
    place.assert_proven().await;
    assert!(place.run(&["rebuild"]).await.status.success());
    assert_eq!(left().await, expected);
    place.assert_proven().await;
    let again = place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await;
    assert_archived(&again, "archived 0 logs");
    assert!(!said(&again).contains("forgot"), "{again:?}");

    // The events of the purge are in the log, up to the last one.
    let purged = recorded(&client, "archive.jobs_purged").await;
    let purged: u64 = purged.iter().map(|purged| purged["jobs"].as_u64().unwrap()).sum();
    assert_eq!(purged, forgotten.len() as u64);
}

async fn a_server_forgets_by_itself(kind: StoreKind) {
    let place = Place::new(kind).await;
    tell_stories(&place, 60).await;
    let server = place.server(&["--keep", "60d"]).await;
    let client = server.client();
    eventually("old jobs to be forgotten", async || {
        (recorded(&client, "archive.jobs_purged").await.len() == 1).then_some(())
    })
    .await;
    let left = all_jobs(&client).await;
    assert_eq!(ended_long_ago(&left), Vec::<String>::new());
    rebuild_all(&client, &place.store).await;
    // Deadlines of the others may have passed meanwhile.
    assert!(all_jobs(&client).await.keys().eq(left.keys()));
    place.assert_proven().await;
}
