//! Golden files in `events/golden`: a stored payload of every event type and version ever written. Files are added,
//! but never edited. `{type}.v{version}.json` has every field, `{type}.v{version}.minimal.json` only the required
//! ones, and `{type}.v{version}.{field}.json` a field that was added later.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::event::Event;
use crate::segments::source::ENDED;
use crate::stream::StreamType;

struct Golden {
    event_type: String,
    version: u32,
    payload: String,
}

fn golden_files() -> Vec<Golden> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    let files = fs::read_dir(directory).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let stem = name.strip_suffix(".json").expect("only JSON is kept here");
        let (event_type, version) = stem.split_once(".v").expect("a name is {type}.v{version}.json");
        let version = version.split_once('.').map_or(version, |(version, _)| version);
        Golden {
            event_type: event_type.to_owned(),
            version: version.parse().unwrap(),
            payload: fs::read_to_string(entry.path()).unwrap(),
        }
    });
    files.collect()
}

fn decode(golden: &Golden) -> Event {
    let (kind, _) = golden.event_type.split_once('.').unwrap();
    let kind: StreamType = kind.parse().unwrap();
    Event::decode(kind, &golden.event_type, golden.version, &golden.payload)
}

/// Whether the file has the version that this build writes.
fn is_current(golden: &Golden) -> bool {
    decode(golden).event_version() == golden.version
}

#[test]
fn every_event_type_has_a_golden_file_of_its_current_version() {
    let kept: BTreeSet<String> =
        golden_files().into_iter().filter(is_current).map(|golden| golden.event_type).collect();
    let written: BTreeSet<String> = Event::types().map(str::to_owned).collect();
    assert_eq!(kept, written);
}

#[test]
fn every_golden_file_decodes_and_names_its_own_type() {
    for golden in golden_files() {
        let event = decode(&golden);
        assert!(!matches!(event, Event::Unreadable(_)), "{}: {event:?}", golden.event_type);
        assert_eq!(event.event_type(), golden.event_type);
        assert_eq!(serde_json::to_value(&event).unwrap()["type"], *golden.event_type);
    }
}

#[test]
fn every_golden_file_of_a_current_version_is_encoded_to_itself() {
    for golden in golden_files().iter().filter(|golden| is_current(golden)) {
        let kept: Value = serde_json::from_str(&golden.payload).unwrap();
        assert_eq!(serde_json::to_value(decode(golden)).unwrap(), kept, "{}", golden.event_type);
    }
}

#[test]
fn the_archive_finds_the_events_that_end_a_job() {
    for golden in golden_files() {
        let ends = matches!(decode(&golden), Event::Job(event) if event.ending().is_some());
        assert_eq!(ENDED.contains(&format!("'{}'", golden.event_type)), ends, "{}", golden.event_type);
    }
}

#[test]
fn what_this_build_cannot_read_is_kept_as_it_is() {
    let claimed = golden_files().into_iter().find(|golden| golden.event_type == "job.claimed").unwrap();
    for (kind, event_type, version, payload, error) in [
        (StreamType::Job, "job.teleported", 3, r#"{"type":"job.teleported"}"#, "no event of this type"),
        // The payload would decode as a `job.claimed`, but the name decides.
        (StreamType::Job, "job.teleported", 1, &claimed.payload, "no event of this type"),
        (StreamType::JobLog, "job_log.folded", 1, r#"{"type":"job_log.folded"}"#, "no event of this type"),
        (StreamType::Job, "job.claimed", 1, r#"{"type":"job.claimed","attempt":"one"}"#, "invalid type"),
        (StreamType::Job, "job.claimed", 2, &claimed.payload, "version 1 of it, and not version 2"),
        (StreamType::Job, "job.claimed", 0, &claimed.payload, "version 1 of it, and not version 0"),
    ] {
        let event = Event::decode(kind, event_type, version, payload);
        let Event::Unreadable(unreadable) = &event else { panic!("{event:?}") };
        assert!(unreadable.error.contains(error), "{}", unreadable.error);
        assert_eq!(unreadable.payload.get(), payload.trim());
        assert_eq!((event.event_type(), event.event_version()), (event_type, version));
        assert_eq!(serde_json::to_string(&event).unwrap(), payload.trim());
    }
}
