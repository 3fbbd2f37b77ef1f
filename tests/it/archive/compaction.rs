//! Compaction: of the events of runners and groups that are older than `--keep`, those stay that a state depends on.

use chrono::DateTime;
use rivet_events::group::{GroupEvent, GroupPlaceFreed, GroupPlaceTaken, Place as GroupPlace};
use rivet_events::id::{JobId, LeaseId, RunnerId};
use rivet_events::runner::{
    Capabilities, Registration, RunnerEvent, RunnerHeartbeatRecorded, RunnerRegistered, RunnerRemoved,
};
use rivet_events::{Event, StreamId};
use rivet_tests::history::{Stream, streams};
use rivet_tests::on_both_stores;
use rivet_tests::program::{json_lines, printed};
use rivet_tests::store::StoreKind;
use rivet_tests::verify::recorded;
use rivet_tests::wait::eventually;
use serde_json::Value;

use super::place::{Place, append, assert_archived};

on_both_stores! {
    what_is_superseded_is_deleted_and_nothing_changes,
    the_heartbeats_of_an_idle_fleet_are_deleted,
}

/// A runner that registered, and sent so many heartbeats, every tenth of which tells its registration.
fn runner(name: &str, heartbeats: i64) -> Stream {
    let runner_id: RunnerId = name.parse().unwrap();
    let at = |second| DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap();
    let registration =
        Registration { capabilities: Capabilities::default(), boot_id: None, registered_at: at(0) };
    let registered = RunnerEvent::Registered(RunnerRegistered {
        runner_id: runner_id.clone(),
        capabilities: Capabilities::default(),
        boot_id: None,
        registered_at: at(0),
    });
    let heartbeat = |n: i64| {
        RunnerEvent::HeartbeatRecorded(RunnerHeartbeatRecorded {
            runner_id: runner_id.clone(),
            heartbeat_at: at(30 * n),
            registration: (n % 10 == 0).then(|| registration.clone()),
        })
    };
    let events = [registered].into_iter().chain((1..=heartbeats).map(heartbeat));
    (StreamId::runner(&runner_id), events.map(Event::Runner).collect())
}

fn removed(name: &str) -> Event {
    let (runner_id, removed_at) =
        (name.parse().unwrap(), DateTime::from_timestamp(1_700_009_000, 0).unwrap());
    Event::Runner(RunnerEvent::Removed(RunnerRemoved { runner_id, removed_at }))
}

/// A group in which so many jobs ran one after the other; the event of every tenth lists its places.
fn group(name: &str, jobs: usize) -> Stream {
    let (group, now) = (name.to_owned(), DateTime::from_timestamp(1_700_000_000, 0).unwrap());
    let place = || GroupPlace { job_id: JobId::generate(), lease_id: LeaseId::generate() };
    let places: Vec<GroupPlace> = (0..jobs).map(|_| place()).collect();
    let taken = |n: usize, place: &GroupPlace| {
        GroupEvent::PlaceTaken(GroupPlaceTaken {
            group: group.clone(),
            job_id: place.job_id,
            lease_id: place.lease_id,
            taken_at: now,
            places: (n % 10 == 9).then(|| vec![*place]),
        })
    };
    let freed = |place: &GroupPlace| {
        GroupEvent::PlaceFreed(GroupPlaceFreed {
            group: group.clone(),
            job_id: place.job_id,
            lease_id: place.lease_id,
            freed_at: now,
        })
    };
    let of_job = |(n, place): (usize, &GroupPlace)| {
        let before = n.checked_sub(1).map(|before| freed(&places[before]));
        before.into_iter().chain([taken(n, place)]).collect::<Vec<_>>()
    };
    let events = places.iter().enumerate().flat_map(of_job).map(Event::Group).collect();
    (StreamId::group(name), events)
}

/// The types of the events of a stream, and its state after them.
async fn replayed(place: &Place, stream: &str) -> (Vec<String>, Value) {
    let events = json_lines(printed(&place.run(&["replay", stream, "--json"]).await));
    let types = events.iter().map(|event| event["event"]["type"].as_str().unwrap().to_owned()).collect();
    let mut state = events.last().unwrap()["state"].clone();
    let members = state.as_object_mut().unwrap();
    members.remove("since_whole");
    // Nothing depends on when a runner was last heard before it was removed.
    if members.get("state").is_some_and(|state| state == "removed") {
        members.remove("heard_at");
    }
    (types, state)
}

async fn what_is_superseded_is_deleted_and_nothing_changes(kind: StoreKind) {
    let place = Place::new(kind).await;
    let mut stopped = runner("stopped", 25);
    stopped.1.push(removed("stopped"));
    let own = [runner("alive", 25), stopped, runner("parked", 25), group("deploy", 25), group("small", 5)];
    append(&place, &[&streams(8, 20)[..], &own].concat()).await;
    let server = place.server(&[]).await;
    let client = server.client();
    let mut before = Vec::new();
    for (stream, _) in &own {
        before.push(replayed(&place, &stream.to_string()).await);
    }
    let alive = client.get("/api/runners/alive").await.expect(200);

    let parked = "insert into parked_streams (projection, generation, stream, position, error)
                  values ('runners', 1, 'runner/parked', 9, '')";
    place.store.execute(parked).await;
    let archived = place.run(&["archive", "--older-than", "30d", "--keep", "60d"]).await;
    assert_archived(&archived, "events in all");
    place.store.execute("delete from parked_streams").await;

    for ((stream, _), (types, state)) in own.iter().zip(before) {
        let (left, now) = replayed(&place, &stream.to_string()).await;
        assert_eq!(now, state, "{stream}");
        match stream.id.as_str() {
            "alive" => assert_eq!(left, ["runner.registered", "runner.heartbeat_recorded"]),
            "stopped" => assert_eq!(left, ["runner.registered", "runner.removed"]),
            // From the place of the 20th job on, which lists them all: five more were taken, and five freed.
            "deploy" => assert_eq!(left.len(), 1 + 2 * 5),
            _ => assert_eq!(left, types, "{stream}"),
        }
    }
    assert_eq!(client.get("/api/runners/alive").await.expect(200), alive);
    place.assert_proven().await;
    assert!(place.run(&["rebuild", "runners", "lifetimes"]).await.status.success());
    assert_eq!(client.get("/api/runners/alive").await.expect(200), alive);
    // It goes on where it was.
    client.heartbeat("alive").await.expect(204);
    let (left, _) = replayed(&place, "runner/alive").await;
    assert_eq!(left.len(), 3, "{left:?}");
    place.assert_proven().await;
}

async fn the_heartbeats_of_an_idle_fleet_are_deleted(kind: StoreKind) {
    let place = Place::new(kind).await;
    append(&place, &[runner("one", 6_000), runner("two", 6_000)]).await;
    let server = place.server(&["--keep", "60d"]).await;
    let client = server.client();
    let purged = eventually("old heartbeats to be deleted", async || {
        recorded(&client, "archive.jobs_purged").await.pop()
    })
    .await;
    assert_eq!(purged["payload"]["jobs"], 0);
    assert!(purged["payload"]["events"].as_u64() >= Some(2 * 5_999), "{purged}");
    let left = place.count("events where event_type = 'runner.heartbeat_recorded'").await;
    assert!((2..20).contains(&left), "{left} are left");
    place.assert_proven().await;
}
