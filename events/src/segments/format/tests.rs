//! What is written is read back, and damage is detected.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::log::StoreError;

/// An event with this many entries of this text.
fn event(log: u128, sequence: u64, position: u64, entries: usize, text: &str) -> StoredEvent {
    let entry = json!({"timestamp": "2026-01-31T12:00:00Z", "level": "Info", "message": text});
    let payload = json!({
        "type": "job_log.appended",
        "job_id": Uuid::from_u128(log),
        "pipeline_id": Uuid::from_u128(1),
        "attempt": 1,
        "offset": 0,
        "first_index": sequence,
        "entries": vec![entry; entries],
        "digest": "",
        "appended_at": "2026-01-31T12:00:00.000001Z",
        "member of a later build": {"a": [1, 2.50, null]},
    });
    StoredEvent {
        position: Position(position),
        event_id: Uuid::from_u128(position.into()).into(),
        event_type: "job_log.appended".to_owned(),
        event_version: "1".to_owned(),
        stream_type: "job_log".to_owned(),
        stream_id: Uuid::from_u128(log).to_string(),
        sequence: Version(sequence),
        recorded_at: DateTime::from_timestamp_micros(1_700_000_000_000_001).unwrap_or_default(),
        payload: RawValue::from_string(format!("{payload:#}")).unwrap(),
        metadata: RawValue::from_string(r#"{"actor":"runner:a","unknown":"b"}"#.to_owned()).unwrap(),
    }
}

fn segment(events: &[StoredEvent]) -> Result<Segment, StoreError> {
    let mut writer = SegmentWriter::begin()?;
    for event in events {
        writer.push(event)?;
    }
    writer.finish()?.ok_or_else(|| "no events".into())
}

fn text(events: &[StoredEvent]) -> Vec<String> {
    events.iter().map(|event| serde_json::to_string(event).unwrap()).collect()
}

fn read_back(bytes: &[u8]) -> Result<Vec<Block>, SegmentError> {
    blocks(bytes).collect()
}

proptest! {
    #[test]
    fn a_segment_is_read_back_byte_for_byte_and_block_by_block(
        logs in vec(vec((0..3_usize, "(\\PC|\n|\u{0}){0,40}", 0..20_000_usize), 1..6), 1..6),
    ) {
        let mut events = Vec::new();
        for (log, batches) in (1..).zip(&logs) {
            for (sequence, (entries, start, filling)) in (1..).zip(batches) {
                let message = format!("{start}{}", "ab".repeat(*filling));
                events.push(event(log, sequence, events.len() as u64 + 7, *entries, &message));
            }
        }
        let segment = segment(&events).unwrap();
        prop_assert_eq!((segment.events, segment.logs), (events.len() as u64, logs.len() as u64));
        let entries: usize = logs.iter().flatten().map(|(entries, ..)| entries).sum();
        prop_assert_eq!(segment.entries, entries as u64);
        prop_assert_eq!(segment.positions, (Position(7), Position(6 + events.len() as u64)));
        let blocks = read_back(&segment.bytes).unwrap();
        let all: Vec<StoredEvent> = blocks.iter().flat_map(|block| block.events.clone()).collect();
        prop_assert_eq!(text(&all), text(&events));
        for Block { place, events } in blocks {
            let place = usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap();
            prop_assert_eq!(text(&read_block(&segment.bytes[place]).unwrap()), text(&events));
        }
    }

    #[test]
    fn any_changed_byte_is_told(seed in any::<u64>()) {
        let events: Vec<StoredEvent> = (1..=40_u32).map(|n| event(n.into(), 1, n.into(), 2, "a line")).collect();
        let mut bytes = segment(&events).unwrap().bytes;
        let before = sha256(&bytes);
        let place = usize::try_from(seed % bytes.len() as u64).unwrap();
        bytes[place] ^= 1 << (seed % 8);
        prop_assert_ne!(sha256(&bytes), before);
        // Nothing is read that was not written, and nothing panics.
        if let Ok(blocks) = read_back(&bytes) {
            let read: Vec<StoredEvent> = blocks.into_iter().flat_map(|block| block.events).collect();
            prop_assert_eq!(text(&read), text(&events));
        }
    }
}

#[test]
fn a_segment_that_was_cut_off_is_damaged() {
    let bytes = segment(&[event(1, 1, 1, 100, "a line")]).unwrap().bytes;
    for length in [1, 4, bytes.len() / 2, bytes.len() - 1] {
        assert!(matches!(read_back(&bytes[..length]), Err(SegmentError::Damaged(_))), "{length}");
    }
}

#[test]
fn what_is_no_batch_of_entries_is_no_part_of_a_segment() {
    let mut foreign = event(1, 1, 9, 1, "");
    foreign.payload = RawValue::from_string(r#"{"type":"job_log.folded"}"#.to_owned()).unwrap();
    let refused = segment(&[foreign]).unwrap_err().to_string();
    assert!(refused.contains("position 9"), "{refused}");
}
