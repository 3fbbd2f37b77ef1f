//! The events of a job's log: one event for each batch of entries. They have a stream of their own, so that the
//! stream of the job stays short.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

use crate::id::{JobId, PipelineId};

/// A fact about one job's log. Stream: `job_log/{job_id}`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "the variant is documented at its payload")]
pub enum JobLogEvent {
    #[serde(rename = "job_log.appended")]
    Appended(JobLogAppended),
}

// Written by hand, which is possible as there is only one variant. To find the tag, the derived implementation would
// first buffer all fields in a form of serde's own, in which raw JSON text is lost.
impl<'de> Deserialize<'de> for JobLogEvent {
    fn deserialize<D: Deserializer<'de>>(event: D) -> Result<Self, D::Error> {
        JobLogAppended::deserialize(event).map(Self::Appended)
    }
}

/// A batch of entries was stored, as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobLogAppended {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The attempt that wrote the batch: 1, 2, …
    pub attempt: u32,
    /// Entries of this attempt stored before this batch.
    pub offset: u64,
    /// Index of the first entry over all attempts of the job: 1, 2, …
    pub first_index: u64,
    /// The lines, at least one.
    #[schema(value_type = Vec<LogEntry>)]
    pub entries: LogEntries,
    /// Digest of the batch as it was sent, by which a replay without an offset is recognised.
    pub digest: String,
    /// When.
    pub appended_at: DateTime<Utc>,
}

impl JobLogAppended {
    /// Index of the last entry over all attempts of the job.
    #[must_use]
    pub fn last_index(&self) -> u64 {
        (self.first_index + self.entries.len() as u64).saturating_sub(1)
    }
}

/// Entries of a job's log, as JSON text. Most code only passes them on, so they are encoded once, when they arrive,
/// and that text is copied into the log.
#[derive(Debug, Clone)]
pub struct LogEntries {
    json: Arc<RawValue>,
    /// Known from the start for new entries; for stored ones, counted at the first use.
    count: OnceLock<usize>,
}

impl LogEntries {
    /// Encodes entries.
    ///
    /// # Panics
    /// Never: an entry is plain data.
    #[must_use]
    pub fn new(entries: &[LogEntry]) -> Self {
        let json = to_raw_value(entries).expect("invariant: an entry is plain data");
        Self { json: json.into(), count: entries.len().into() }
    }

    /// How many entries there are; 0 if the stored JSON is not an array.
    #[must_use]
    pub fn len(&self) -> usize {
        *self
            .count
            .get_or_init(|| serde_json::from_str(self.json()).map_or(0, |all: Vec<IgnoredAny>| all.len()))
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries as the text of a JSON array.
    #[must_use]
    pub fn json(&self) -> &str {
        self.json.get()
    }

    /// Decodes the entries.
    ///
    /// # Errors
    /// If a stored entry is not one that any build has written.
    pub fn read(&self) -> serde_json::Result<Vec<LogEntry>> {
        serde_json::from_str(self.json())
    }

    /// The entries without the first `first` ones.
    ///
    /// # Panics
    /// Never: JSON is plain data.
    #[must_use]
    pub fn after(&self, first: usize) -> Self {
        let entries: Vec<&RawValue> = serde_json::from_str(self.json()).unwrap_or_default();
        let left = entries.get(first..).unwrap_or_default();
        let json = to_raw_value(left).expect("invariant: JSON is plain data");
        Self { json: json.into(), count: left.len().into() }
    }
}

/// Compares the JSON texts.
impl PartialEq for LogEntries {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

impl Serialize for LogEntries {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LogEntries {
    fn deserialize<D: Deserializer<'de>>(entries: D) -> Result<Self, D::Error> {
        Ok(Self { json: Box::<RawValue>::deserialize(entries)?.into(), count: OnceLock::new() })
    }
}

/// One entry of a job's log; its message may be the whole output of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogEntry {
    /// By the runner's clock.
    pub timestamp: DateTime<Utc>,
    /// Severity.
    pub level: LogLevel,
    /// The text, without NUL.
    pub message: String,
}

/// Severity of a [`LogEntry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entries(messages: &[&str]) -> LogEntries {
        let entry = |message: &&str| LogEntry {
            timestamp: DateTime::UNIX_EPOCH,
            level: LogLevel::Info,
            message: (*message).to_owned(),
        };
        LogEntries::new(&messages.iter().map(entry).collect::<Vec<_>>())
    }

    #[test]
    fn entries_are_the_json_of_each() {
        let two = entries(&["a \"b\"", "ü"]);
        let read = two.read().unwrap();
        assert_eq!(two.json(), serde_json::to_string(&read).unwrap());
        assert_eq!(read.iter().map(|entry| entry.message.as_str()).collect::<Vec<_>>(), ["a \"b\"", "ü"]);
    }

    #[test]
    fn what_was_stored_is_counted_and_cut_as_what_has_arrived() {
        let arrived = entries(&["a", "b", "c"]);
        let stored: LogEntries = serde_json::from_str(arrived.json()).unwrap();
        assert_eq!((stored.len(), &stored), (3, &arrived));
        for first in 0..5 {
            let left = ["a", "b", "c"].get(first..).unwrap_or_default();
            assert_eq!(stored.after(first), entries(left), "{first}");
            assert_eq!(stored.after(first).len(), left.len(), "{first}");
        }
    }

    #[test]
    fn an_event_is_read_from_a_text_and_from_a_value() {
        let event = JobLogEvent::Appended(JobLogAppended {
            job_id: JobId::generate(),
            pipeline_id: PipelineId::generate(),
            attempt: 1,
            offset: 0,
            first_index: 1,
            entries: entries(&["a"]),
            digest: "d".to_owned(),
            appended_at: DateTime::UNIX_EPOCH,
        });
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<JobLogEvent>(&text).unwrap(), event);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["type"], "job_log.appended");
        let JobLogEvent::Appended(read) = serde_json::from_value(value).unwrap();
        assert_eq!(read.entries.read().unwrap(), entries(&["a"]).read().unwrap());
    }

    #[test]
    fn what_is_no_list_of_entries_has_none() {
        for damaged in [json!(null), json!("a"), json!([1])] {
            let stored: LogEntries = serde_json::from_value(damaged).unwrap();
            assert!(stored.read().is_err());
        }
    }
}
