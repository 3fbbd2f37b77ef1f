//! Moves events out of the log's table: writes the index and deletes the events in one transaction, so that each event
//! is always in one of the two places.
//!
//! A job that was purged gets no index: another archiver may have released the segment and purged the job since this
//! one has read the segment. One that was launched since under the same id is another job, with later events.

use sqlx::{PgConnection, SqliteConnection};

use super::format::{Block, SegmentError};
use super::index::Part;
use crate::envelope::Position;
use crate::id::JobId;
use crate::log::StoreError;

/// The release of some blocks of a segment: their events are deleted from the log's table, and the index is written.
#[derive(Debug)]
pub struct Release<'a> {
    /// The segment.
    segment: i64,
    /// The name of its object in the store.
    object: &'a str,
    /// With the positions of their first events.
    parts: Vec<(Part, Position)>,
    positions: Vec<i64>,
    batches: Vec<(JobId, u64)>,
}

impl<'a> Release<'a> {
    /// Prepares the release of these blocks of a segment.
    ///
    /// # Errors
    /// If an event in them is not a batch of log entries.
    pub fn of(segment: u64, object: &'a str, blocks: &[Block]) -> Result<Self, SegmentError> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (mut parts, mut positions, mut batches): (Vec<(Part, _)>, _, _) =
            (Vec::new(), Vec::new(), Vec::new());
        for Block { place, events } in blocks {
            let offset = number(place.start);
            for event in events {
                let batch = event.batch()?;
                let (job, sequence) = (batch.job_id, event.sequence.to_sql());
                positions.push(event.position.to_sql());
                batches.push((job, batch.first_index));
                match parts.last_mut().filter(|(last, _)| last.job == job && last.offset == offset) {
                    Some((part, _)) => part.last_sequence = sequence,
                    None => parts.push((
                        Part {
                            job,
                            first_index: number(batch.first_index),
                            first_sequence: sequence,
                            last_sequence: sequence,
                            offset,
                            length: number(place.end - place.start),
                        },
                        event.position,
                    )),
                }
            }
        }
        Ok(Self { segment: number(segment), object, parts, positions, batches })
    }

    /// The batches of log entries in the blocks, each as its job and the index of its first entry.
    #[must_use]
    pub fn batches(&self) -> &[(JobId, u64)] {
        &self.batches
    }

    /// The parts of logs in the blocks, each with the position of its first event.
    #[must_use]
    pub fn parts(&self) -> &[(Part, Position)] {
        &self.parts
    }

    fn column<T>(&self, of: impl Fn(&Part) -> T) -> Vec<T> {
        self.parts.iter().map(|(part, _)| of(part)).collect()
    }

    /// Performs the release as part of a PostgreSQL transaction. Repeating it does no harm.
    pub async fn on_postgres(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let begun: Vec<i64> = self.parts.iter().map(|(_, begun)| begun.to_sql()).collect();
        sqlx::query("insert into archive_segments values ($1, $2) on conflict do nothing")
            .bind(self.segment)
            .bind(self.object)
            .execute(&mut *connection)
            .await?;
        sqlx::query(
            "insert into archived_logs
             select job_id, first_index, first_sequence, last_sequence, $8, block_offset, block_length
             from unnest(
                 $1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]
             ) as p (job_id, first_index, first_sequence, last_sequence, block_offset, block_length, begun)
             where exists (
                 select from events where aggregate_type = 'job' and aggregate_id = p.job_id::text
                 and sequence = 1 and position < p.begun
             )
             on conflict do nothing",
        )
        .bind(self.column(|part| part.job.as_uuid()))
        .bind(self.column(|part| part.first_index))
        .bind(self.column(|part| part.first_sequence))
        .bind(self.column(|part| part.last_sequence))
        .bind(self.column(|part| part.offset))
        .bind(self.column(|part| part.length))
        .bind(begun)
        .bind(self.segment)
        .execute(&mut *connection)
        .await?;
        sqlx::query("delete from events where position = any($1) and aggregate_type = 'job_log'")
            .bind(&self.positions)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Performs the release as part of a SQLite transaction. Repeating it does no harm.
    pub async fn on_sqlite(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query("insert into archive_segments values (?1, ?2) on conflict do nothing")
            .bind(self.segment)
            .bind(self.object)
            .execute(&mut *connection)
            .await?;
        let part = |(part, begun): &(Part, Position)| {
            let Part { job, first_index, first_sequence, last_sequence, offset, length } = part;
            (job.to_string(), *first_index, *first_sequence, *last_sequence, *offset, *length, begun.0)
        };
        let parts: Vec<_> = self.parts.iter().map(part).collect();
        sqlx::query(
            "insert into archived_logs
             select part ->> 0, part ->> 1, part ->> 2, part ->> 3, ?2, part ->> 4, part ->> 5
             from (select value as part from json_each(?1) limit -1)
             where exists (
                 select 1 from events where aggregate_type = 'job' and aggregate_id = part ->> 0
                 and sequence = 1 and position < part ->> 6
             )
             on conflict do nothing",
        )
        .bind(serde_json::to_string(&parts)?)
        .bind(self.segment)
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "delete from events
             where position in (select value from json_each(?1)) and +aggregate_type = 'job_log'",
        )
        .bind(serde_json::to_string(&self.positions)?)
        .execute(connection)
        .await?;
        Ok(())
    }
}
