//! Adds the columns that live read models of other builds lack, in a process that follows another one: its queries name
//! these columns. A process that projects adds them when it adopts the read models.

use std::time::Duration;

use tokio::time::Instant;

use crate::checkpoint::Checkpoint;
use crate::generation;
use crate::rows::Store;

/// How long to wait before another try. Each holds up the queries of a table that somebody has locked, a backup for
/// example, for a moment.
const RETRY: Duration = Duration::from_secs(5);

/// The tables of other builds that have all columns of this one.
#[derive(Default)]
pub(super) struct Completed {
    tables: Vec<String>,
    /// When the last try failed.
    failed: Option<Instant>,
}

impl Completed {
    /// Adds the columns that one of these live generations may lack.
    pub(super) async fn extend_to(&mut self, live: &[Checkpoint], store: &Store) {
        let foreign = live.iter().filter(|live| live.is_foreign());
        let foreign: Vec<String> = foreign.map(Checkpoint::table).collect();
        if foreign == self.tables || self.failed.is_some_and(|failed| failed.elapsed() < RETRY) {
            return;
        }
        match generation::add_columns(store).await {
            Ok(()) => *self = Self { tables: foreign, failed: None },
            Err(error) => {
                tracing::warn!(
                    error = &*error,
                    "read models of another build lack columns, which cannot be added yet"
                );
                self.failed = Some(Instant::now());
            }
        }
    }
}
