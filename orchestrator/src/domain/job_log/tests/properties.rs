//! Laws of a job's log: whatever is sent again, each entry is stored once and in order.

use proptest::prelude::*;

use super::*;
use crate::domain::Decider;
use crate::domain::spec::handle;

/// The log of an attempt as its runner has it: `count` distinct entries.
fn written(count: usize) -> Vec<LogEntry> {
    (0..count).flat_map(|number| lines(&number.to_string())).collect()
}

fn stored(events: &[JobLogEvent]) -> Vec<LogEntry> {
    events.iter().flat_map(|JobLogEvent::Appended(batch)| batch.entries.read().unwrap()).collect()
}

/// The batch of `length` entries of the log from `offset` on.
fn batch(log: &[LogEntry], offset: usize, length: usize) -> AppendLog {
    let offset = offset.min(log.len());
    let entries = LogEntries::new(&log[offset..(offset + length).min(log.len())]);
    AppendLog { offset: Some(offset as u64), digest: format!("{offset}+{length}"), entries, ..append("") }
}

fn assert_dense(events: &[JobLogEvent]) -> Result<(), TestCaseError> {
    let mut next_index = 1;
    for JobLogEvent::Appended(batch) in events {
        prop_assert_eq!(batch.first_index, next_index);
        next_index += batch.entries.len() as u64;
    }
    Ok(())
}

proptest! {
    #[test]
    fn batches_with_offsets_store_each_entry_once_and_in_order_however_they_are_repeated(
        sends in prop::collection::vec((0_usize..30, 0_usize..12), 0..40),
        count in 0_usize..30,
    ) {
        let log = written(count);
        let (mut state, mut events) = (JobLogState::default(), vec![]);
        for (offset, length) in sends {
            let before = state.acknowledged(1);
            let sent = batch(&log, offset, length);
            let beyond = sent.offset > Some(before);
            match handle(&mut state, sent.into()) {
                Ok(recorded) => events.extend(recorded),
                Err(error) => prop_assert_eq!(error, JobLogError::Gap { acknowledged: before }),
            }
            prop_assert!(!beyond || state.acknowledged(1) == before);
            prop_assert_eq!(&stored(&events)[..], &log[..stored(&events).len()]);
            prop_assert_eq!(state.acknowledged(1), stored(&events).len() as u64);
        }
        events.extend(handle(&mut state, batch(&log, 0, count).into()).unwrap());
        prop_assert_eq!(stored(&events), log);
        assert_dense(&events)?;
    }

    #[test]
    fn batches_without_offsets_are_stored_once_if_repeated_among_the_next_seven(
        lengths in prop::collection::vec(1_usize..4, 1..30),
        repeats in prop::collection::vec((0_usize..30, 0_usize..8), 0..30),
    ) {
        let log = written(lengths.iter().sum());
        let (mut state, mut events, mut offset) = (JobLogState::default(), vec![], 0);
        let mut sent = vec![];
        for (number, length) in lengths.into_iter().enumerate() {
            sent.push(AppendLog { offset: None, ..batch(&log, offset, length) });
            offset += length;
            let again = repeats.iter().filter(|(after, _)| *after == number);
            let again = again.filter_map(|(_, earlier)| sent.get(number.checked_sub(*earlier)?));
            for append in std::iter::once(&sent[number]).chain(again) {
                events.extend(handle(&mut state, append.clone().into()).unwrap());
            }
        }
        prop_assert_eq!(stored(&events), log);
        assert_dense(&events)?;
    }

    #[test]
    fn the_index_counts_over_all_attempts_and_an_earlier_attempt_adds_nothing(
        sends in prop::collection::vec((1_u32..5, 1_usize..5), 1..30),
    ) {
        let log = written(5);
        let (mut state, mut events, mut latest) = (JobLogState::default(), vec![], 0);
        for (number, (attempt, length)) in sends.into_iter().enumerate() {
            let digest = number.to_string();
            let append = AppendLog { attempt, offset: None, digest, ..batch(&log, 0, length) };
            match handle(&mut state, append.into()) {
                Ok(recorded) => {
                    prop_assert!(attempt >= latest);
                    latest = attempt;
                    events.extend(recorded);
                }
                Err(error) => {
                    prop_assert_eq!(error, JobLogError::AttemptOver);
                    prop_assert!(attempt < latest);
                }
            }
        }
        assert_dense(&events)?;
    }

    #[test]
    fn the_state_depends_on_the_remembered_batches_only(
        sends in prop::collection::vec((1_u32..5, 1_usize..5), 1..30),
    ) {
        let log = written(5);
        let (mut state, mut events) = (JobLogState::default(), vec![]);
        for (number, (attempt, length)) in sends.into_iter().enumerate() {
            let digest = number.to_string();
            let append = AppendLog { attempt, offset: None, digest, ..batch(&log, 0, length) };
            events.extend(handle(&mut state, append.into()).unwrap_or_default());
            let remembered = &events[events.len().saturating_sub(REMEMBERED_BATCHES)..];
            prop_assert_eq!(&JobLogState::default().after(remembered), &state);
        }
    }

    #[test]
    fn evolve_takes_any_batch(offset in any::<u64>(), first_index in any::<u64>(), attempt in any::<u32>()) {
        let batch = JobLogAppended { offset, first_index, attempt, ..tail_appended(0, "a b", "a b") };
        let state = JobLogState::default().evolve(JobLogEvent::Appended(batch));
        prop_assert_eq!(state.attempt, attempt);
    }
}
