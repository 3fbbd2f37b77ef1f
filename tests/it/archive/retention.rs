//! Retention: nothing is left of jobs that ended longer ago than `--keep`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use chrono::DateTime;
use rivet_events::id::JobId;
use rivet_events::job::{JobEvent, JobLaunched};
use rivet_events::projection::{ProjectionEvent, ProjectionEventSkipped};
use rivet_events::segments::{Block, format};
use rivet_events::{Event, Position, StreamId, StreamType, Version};
use rivet_projections::Released;
use rivet_tests::client::Client;
use rivet_tests::history::streams;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{id, new_pipeline};
use rivet_tests::sse::EventStream;
use rivet_tests::store::StoreKind;
use rivet_tests::verify::{list, rebuild_all, recorded};
use rivet_tests::wait::eventually;
use serde_json::{Value, json};

use super::place::{Place, append_keyed_claims, append_streams, assert_archived, new_logged_job, said};
use rivet_tests::process::Process;
use rivet_tests::program::{json_lines, printed};

on_both_stores! {
    jobs_that_are_not_kept_are_purged,
    a_server_purges_by_itself,
    a_server_learns_what_is_purged_beside_it,
    what_is_being_purged_is_not_archived,
    a_release_that_comes_after_the_purge_leaves_nothing,
    a_job_that_is_launched_again_has_no_part_in_what_was_purged,
    a_segment_that_could_not_be_deleted_is_deleted_by_the_next_run,
    a_job_that_is_too_young_is_not_passed_over,
    a_job_whose_stream_is_parked_is_purged_too,
    a_job_that_has_a_skipped_event_is_purged_too,
}

/// How long an archiver may take that has nothing to do.
const LONG: Duration = Duration::from_mins(1);

/// All jobs by id, without what depends on which runners are online.
async fn all_jobs(client: &Client) -> BTreeMap<String, Value> {
    let jobs = list(client, "/api/jobs").await;
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

async fn assert_purged(place: &Place, client: &Client, jobs: &[String]) {
    let gone: BTreeSet<&str> = jobs.iter().map(String::as_str).collect();
    for job in jobs {
        client.job(job).await.expect_refusal(404, "job_not_found");
        client.logs(job).await.expect_refusal(404, "job_not_found");
        client.history(job).await.expect_refusal(404, "job_not_found");
    }
    let list = place.run(&["events", "list", "--json", "--limit", "1000000"]).await;
    for event in json_lines(printed(&list)) {
        assert!(!gone.contains(event["stream_id"].as_str().unwrap()), "{event}");
        let is_claim = event["stream_type"] == "claim";
        assert!(!is_claim || !gone.contains(event["payload"]["job_id"].as_str().unwrap()), "{event}");
    }
}

/// No recorded segment is left. A killed archiver may have left objects that it had not recorded yet.
async fn assert_no_segment_is_left(place: &Place, client: &Client) {
    let archived = recorded(client, "archive.segment_archived").await;
    let objects: Vec<&str> =
        archived.iter().map(|archived| archived["payload"]["object"].as_str().unwrap()).collect();
    assert!(!objects.is_empty());
    let left = place.segments();
    assert!(!left.iter().any(|file| objects.iter().any(|object| file.ends_with(object))), "{left:?}");
}

async fn jobs_that_are_not_kept_are_purged(kind: StoreKind) {
    let place = Place::new(kind).await;
    append_keyed_claims(&place, 1_500).await;
    let server = place.server(&["--log-grace", "1s"]).await;
    let client = server.client();
    let kept = new_logged_job(&client, 2).await;
    let before = all_jobs(&client).await;
    let gone = ended_long_ago(&before);
    assert!(gone.len() > 500 && !gone.contains(&kept), "{} of {}", gone.len(), before.len());
    assert!(recorded(&client, "claim.answered").await.len() > 500);

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
    let expected: Vec<String> = before.keys().filter(|job| !gone.contains(job)).cloned().collect();
    assert_eq!(left().await, expected);
    assert_eq!(all_jobs(&client).await.get(&kept), before.get(&kept));
    assert_purged(&place, &client, &gone).await;
    assert_no_segment_is_left(&place, &client).await;
    place.assert_proven().await;
    assert!(place.run(&["rebuild"]).await.status.success());
    assert_eq!(left().await, expected);
    place.assert_proven().await;
    let again = place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await;
    assert_archived(&again, "archived 0 logs");
    assert!(!said(&again).contains("purged"), "{again:?}");

    // The events of the purge are in the log, up to the last one.
    let purged = recorded(&client, "archive.jobs_purged").await;
    let purged: u64 = purged.iter().map(|purged| purged["payload"]["jobs"].as_u64().unwrap()).sum();
    assert_eq!(purged, gone.len() as u64);
}

async fn a_server_purges_by_itself(kind: StoreKind) {
    let place = Place::new(kind).await;
    append_streams(&place, 60).await;
    let server = place.server(&["--keep", "60d"]).await;
    let client = server.client();
    eventually("old jobs to be purged", async || {
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

async fn a_server_learns_what_is_purged_beside_it(kind: StoreKind) {
    let place = Place::new(kind).await;
    append_streams(&place, 60).await;
    let server = place.server(&[]).await;
    let client = server.client();
    let old = ended_long_ago(&all_jobs(&client).await);
    for job in &old {
        // Nothing is to be cancelled any more, but now it is cached.
        assert!(matches!(client.cancel(job).await.status, 204 | 409));
    }
    let mut stream = EventStream::open(&client, "/api/events/stream?type=job.purged").await;

    let output = place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await;
    assert!(said(&output).contains("purged"), "{output:?}");

    // The server itself appends nothing meanwhile.
    let purged = tokio::time::timeout(LONG, stream.take(old.len())).await.expect("all are told");
    let purged: BTreeSet<String> =
        purged.iter().map(|message| message.json()["stream_id"].as_str().unwrap().to_owned()).collect();
    assert!(purged.iter().eq(old.iter()), "{purged:?} instead of {old:?}");
    for job in &old {
        client.cancel(job).await.expect_refusal(404, "job_not_found");
    }
}

async fn what_is_being_purged_is_not_archived(kind: StoreKind) {
    let place = Place::new(kind).await;
    append_streams(&place, 60).await;
    // Nothing is deleted while a read model is being rebuilt: the server begins a purge, and cannot end it.
    place.pretend_rebuild(true).await;
    let server = place.server(&["--keep", "60d"]).await;
    let client = server.client();
    eventually("the purge to begin", async || {
        (!recorded(&client, "archive.purge_begun").await.is_empty()).then_some(())
    })
    .await;
    // Without a segment there is nothing that it would have to wait for.
    let archived = tokio::time::timeout(LONG, place.run(&["archive", "--older-than", "30d"])).await;
    assert_archived(&archived.expect("it ends"), "archived 0 logs");
    place.pretend_rebuild(false).await;
    let output = place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await;
    assert_archived(&output, "archived 0 logs");
    assert_eq!(ended_long_ago(&all_jobs(&client).await), Vec::<String>::new());
    assert_eq!(place.segments(), Vec::<PathBuf>::new());
    place.assert_proven().await;
}

/// An archiver that hangs may release a segment that another one has released since, and whose jobs it has purged.
async fn a_release_that_comes_after_the_purge_leaves_nothing(kind: StoreKind) {
    let place = Place::new(kind).await;
    append_streams(&place, 60).await;
    assert_archived(&place.run(&["archive", "--older-than", "30d"]).await, "in 1 segments");
    let bytes = fs::read(&place.segments()[0]).unwrap();
    let blocks: Vec<Block> = format::blocks(&bytes).collect::<Result<_, _>>().unwrap();
    let output = place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await;
    assert!(said(&output).contains("purged"), "{output:?}");

    let process = Process::over(&place.store).await;
    let released = process.read_models.release(1, "1", &blocks, Position(1)).await.unwrap();
    assert_eq!((released, place.count("archived_logs").await), (Released::Done, 0));
    process.close().await;
    place.assert_proven().await;
}

/// A job whose id comes from an idempotency key may be launched again once it is purged.
async fn a_job_that_is_launched_again_has_no_part_in_what_was_purged(kind: StoreKind) {
    let place = Place::new(kind).await;
    append_streams(&place, 60).await;
    let server = place.server(&[]).await;
    // The segment stays for its log.
    new_logged_job(&server.client(), 2).await;
    server.terminate().await;
    assert_archived(&place.archive().await, "in 1 segments");
    let bytes = fs::read(&place.segments()[0]).unwrap();
    let blocks: Vec<Block> = format::blocks(&bytes).collect::<Result<_, _>>().unwrap();
    let archived: BTreeSet<&str> =
        blocks.iter().flat_map(|block| &block.events).map(|event| &*event.stream_id).collect();
    assert!(said(&place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await).contains("purged"));
    let kept = place.count("archived_logs").await;

    let process = Process::over(&place.store).await;
    let mut launches = Vec::new();
    for job in archived {
        let stream = StreamId::new(StreamType::Job, job);
        if process.log.read_stream(&stream, Version::default()).await.unwrap().is_empty() {
            launches.push((stream, vec![launch_of(job.parse().unwrap())]));
        }
    }
    assert!(!launches.is_empty() && kept > 0);
    process.append_all(&launches, 1).await;
    // The log ends at a time when the purged jobs are no part of any statistics.
    let server = place.server(&[]).await;
    new_pipeline(&server.client()).await;
    server.terminate().await;
    place.assert_proven().await;
    let released = process.read_models.release(1, "1", &blocks, Position(1)).await.unwrap();
    assert_eq!((released, place.count("archived_logs").await), (Released::Done, kept));
    process.close().await;
    place.assert_proven().await;
}

fn launch_of(job_id: JobId) -> Event {
    let events = streams(9, 1).into_iter().flat_map(|(_, events)| events);
    let launches = events.filter_map(|event| {
        let Event::Job(JobEvent::Launched(launched)) = event else { return None };
        Some(launched)
    });
    let launch = launches.last().expect("a job is launched");
    Event::Job(JobEvent::Launched(JobLaunched { job_id, ..launch }))
}

async fn a_segment_that_could_not_be_deleted_is_deleted_by_the_next_run(kind: StoreKind) {
    let place = Place::new(kind).await;
    append_streams(&place, 60).await;
    assert_archived(&place.run(&["archive", "--older-than", "30d"]).await, "in 1 segments");
    let segment = &place.segments()[0];
    let bytes = fs::read(segment).unwrap();
    // A directory cannot be deleted as a file.
    fs::remove_file(segment).unwrap();
    fs::create_dir(segment).unwrap();
    let failed = place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await;
    assert!(!failed.status.success() && said(&failed).contains("archive failed"), "{failed:?}");
    // It cannot be read either, and need not be: what was in it is purged.
    place.assert_proven().await;

    fs::remove_dir(segment).unwrap();
    fs::write(segment, bytes).unwrap();
    assert!(place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await.status.success());
    assert_eq!(place.segments(), Vec::<PathBuf>::new());
    place.assert_proven().await;
}

/// The clock of the server that recorded its end was ahead, so the jobs around it are old enough.
async fn a_job_that_is_too_young_is_not_passed_over(kind: StoreKind) {
    let place = Place::new(kind).await;
    append_streams(&place, 60).await;
    let server = place.server(&[]).await;
    let client = server.client();
    let young = new_logged_job(&client, 1).await;
    place.store.execute("update events set recorded_at = (select min(recorded_at) from events)").await;
    let output = place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await;
    assert!(output.status.success() && !said(&output).contains("purged"), "{output:?}");
    assert_eq!(recorded(&client, "archive.purge_begun").await, Vec::<Value>::new());
    client.job(&young).await.expect(200);
}

/// Waits for the read models to be rebuilt that a purge has marked as outdated.
async fn assert_rebuilt(place: &Place) {
    let outdated = "checkpoints where state = 'live' and version = 0";
    eventually("outdated read models to be rebuilt", async || {
        (place.count(outdated).await == 0).then_some(())
    })
    .await;
}

/// The read model leaves out the `job.purged` as well.
async fn a_job_whose_stream_is_parked_is_purged_too(kind: StoreKind) {
    let place = Place::new(kind).await;
    append_streams(&place, 60).await;
    let server = place.server(&[]).await;
    let job = ended_long_ago(&all_jobs(&server.client()).await).remove(0);
    server.terminate().await;
    let park = format!("insert into parked_streams values ('jobs', 1, 'job/{job}', 1, 'a bug')");
    place.store.execute(&park).await;

    let output = place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await;
    assert!(said(&output).contains("purged"), "{output:?}");
    let server = place.server(&[]).await;
    let client = server.client();
    assert_rebuilt(&place).await;
    client.job(&job).await.expect_refusal(404, "job_not_found");
    assert_eq!(client.get("/api/projections/jobs/parked").await.expect(200), json!([]));
    place.assert_proven().await;
}

/// In the read model, its runner still holds the job after it has ended.
async fn a_job_that_has_a_skipped_event_is_purged_too(kind: StoreKind) {
    let place = Place::new(kind).await;
    append_streams(&place, 60).await;
    let server = place.server(&[]).await;
    let old = ended_long_ago(&all_jobs(&server.client()).await);
    let completed = recorded(&server.client(), "job.completed").await;
    server.terminate().await;
    let is_old = |event: &&Value| old.iter().any(|job| event["stream_id"] == **job);
    let completed = completed.iter().find(is_old).unwrap();
    let skipped = ProjectionEventSkipped {
        projection: "runners".to_owned(),
        stream: format!("job/{}", completed["stream_id"].as_str().unwrap()),
        position: Position(completed["position"].as_u64().unwrap()),
        error: "a bug".to_owned(),
        reason: None,
        skipped_at: DateTime::UNIX_EPOCH,
    };
    let skipped = vec![Event::Projection(ProjectionEvent::EventSkipped(skipped))];
    place.store.append(&[(StreamId::projection("runners"), skipped)], 1).await;
    printed(&place.run(&["rebuild", "runners"]).await);

    let output = place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await;
    assert!(said(&output).contains("purged"), "{output:?}");
    let _server = place.server(&[]).await;
    assert_rebuilt(&place).await;
    place.assert_proven().await;
}

/// A command beside the server can mark and delete a job before the server comes to read that.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_purge_the_server_has_missed_is_not_believed_in() {
    let place = Place::new(StoreKind::Sqlite).await;
    let server = place.server(&[]).await;
    let client = server.client();
    let job = new_logged_job(&client, 1).await;
    client.cancel(&job).await.expect_refusal(409, "already_ended");
    let last = "position = (select max(position) from events)";
    let heartbeat = format!(
        "insert into events select position + 2, aggregate_type, 'other', 1, event_type, event_version, payload,
            metadata, lower(hex(randomblob(16))), recorded_at from events where {last}"
    );
    let purge = format!("{heartbeat}; delete from events where aggregate_id = '{job}'");
    place.store.execute(&purge).await;
    eventually("the job to be purged", async || (client.cancel(&job).await.status == 404).then_some(()))
        .await;
}
