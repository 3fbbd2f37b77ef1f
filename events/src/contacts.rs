//! The last contact of each runner, shared between replicas in a table beside the log. Contacts are not events.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::database::{Database, DedicatedPool};
use crate::id::RunnerId;
use crate::log::StoreError;

/// How long a statement may take: leases expire and deadlines end jobs only where contacts can be read.
const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 2;

/// Contacts that are lost are sent again, so their commit need not wait for the disk.
const SESSION: &str = "set synchronous_commit = off";

/// The table of contacts that replicas share. Over SQLite there is only one process, and every method does nothing.
///
/// Callers pass and get ages instead of times. The table holds times by the clock of the database, so the clocks of
/// replicas need not agree.
#[derive(Debug, Clone)]
pub struct Contacts(Option<Arc<DedicatedPool>>);

impl Contacts {
    /// The contacts in `database`.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        match database {
            Database::Postgres(postgres) => {
                Self(Some(Arc::new(DedicatedPool::new(postgres, CONNECTIONS, TIMEOUT, SESSION))))
            }
            Database::Sqlite(_) => Self(None),
        }
    }

    /// Records that runners made contact so long ago, all in one statement. A later contact that is recorded already
    /// is kept.
    pub async fn tell(&self, contacts: &[(RunnerId, Duration)]) -> Result<(), StoreError> {
        let Some(pool) = self.0.as_ref().filter(|_| !contacts.is_empty()) else { return Ok(()) };
        let ids: Vec<&str> = contacts.iter().map(|(id, _)| id.as_str()).collect();
        let ages: Vec<f64> = contacts.iter().map(|(_, age)| age.as_secs_f64()).collect();
        let tell = sqlx::query(
            "insert into runner_contacts (runner_id, heard_at)
             select id, clock_timestamp() - make_interval(secs => age) from unnest($1::text[], $2::float8[]) as c (id, age)
             order by id
             on conflict (runner_id) do update set heard_at = greatest(runner_contacts.heard_at, excluded.heard_at)",
        );
        pool.run(async |connection| tell.bind(ids).bind(ages).execute(connection).await).await?;
        Ok(())
    }

    /// Deletes the runners whose last contact is longer ago than `silent_for`.
    pub async fn delete_silent(&self, silent_for: Duration) -> Result<(), StoreError> {
        let Some(pool) = &self.0 else { return Ok(()) };
        let delete = sqlx::query(
            "delete from runner_contacts where heard_at < clock_timestamp() - make_interval(secs => $1)",
        )
        .bind(silent_for.as_secs_f64());
        pool.run(async |connection| delete.execute(connection).await).await?;
        Ok(())
    }

    /// The age of each runner's last contact, for the runners that made one within `within`.
    pub async fn heard(&self, within: Duration) -> Result<HashMap<RunnerId, Duration>, StoreError> {
        let Some(pool) = &self.0 else { return Ok(HashMap::new()) };
        let heard = sqlx::query_as(
            "select runner_id, greatest(extract(epoch from clock_timestamp() - heard_at), 0)::float8
             from runner_contacts where heard_at > clock_timestamp() - make_interval(secs => $1)",
        )
        .bind(within.as_secs_f64());
        let rows: Vec<(String, f64)> = pool.run(async |connection| heard.fetch_all(connection).await).await?;
        let ages = rows.into_iter().filter_map(|(id, age)| {
            Some((RunnerId::try_from(id).ok()?, Duration::try_from_secs_f64(age).ok()?))
        });
        Ok(ages.collect())
    }
}
