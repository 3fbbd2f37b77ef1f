//! Leader election: the lease that says which of several processes runs the projector. It is a row with an owner, who
//! renews it, by the clock of the database.
//!
//! A process that has ended is succeeded at once, and one that hangs after a timeout. The lease only saves work: the
//! checkpoints alone make two projectors harmless.

mod session;

use std::time::{Duration, Instant};

use rivet_events::id::CommandId;
use rivet_events::log::StoreError;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::session::{Session, gone_condition};
use crate::checkpoint::{self, Checkpoint, State};
use crate::generation;
use crate::query::{self, Query, Value};
use crate::read_models::ReadModels;
use crate::rows::{Connection, Store};

const RENEW_EVERY: Duration = Duration::from_secs(1);
/// Any process may take a lease that was not renewed for this long.
const LEASE: Duration = Duration::from_secs(4);
/// Even a process of a build that is older than the live read models may take a lease that was not renewed for this
/// long. Then no newer process is left, and the read models are rebuilt in the older version.
const LEASE_OUTDATED: Duration = Duration::from_secs(30);

const TABLE: &str = "create table if not exists projector_lease (
    name       text   primary key,
    owner      text   not null,
    epoch      bigint not null,
    renewed_at bigint not null
)";

/// The lease of the projector, from the view of this process.
pub(crate) struct Lease<'a> {
    read_models: &'a ReadModels,
    owner: String,
}

impl<'a> Lease<'a> {
    pub(crate) fn new(read_models: &'a ReadModels) -> Self {
        Self { read_models, owner: CommandId::generate().to_string() }
    }

    fn store(&self) -> &'a Store {
        &self.read_models.inner.store
    }

    /// Whether this process holds the lease.
    fn held(&self) -> &'a watch::Sender<bool> {
        &self.read_models.inner.leading
    }

    /// Takes the lease when it is free and renews it, until `shutdown`; then releases it. Does nothing on SQLite,
    /// where this process always leads.
    pub(crate) async fn keep(&self, shutdown: &CancellationToken) {
        let Store::Postgres { pool, .. } = self.store() else { return };
        let mut session = Session::new(pool, &self.owner);
        let mut renewed = Instant::now();
        while !shutdown.is_cancelled() {
            // The lease counts from some time after this, not from the answer.
            let asked = Instant::now();
            // The database may never answer.
            match timeout(LEASE, self.renew(&mut session)).await.map_err(StoreError::from).flatten() {
                Ok(held) => {
                    renewed = asked;
                    self.held().send_if_modified(|before| std::mem::replace(before, held) != held);
                }
                Err(error) => {
                    tracing::warn!(error = &*error, "the projector's lease cannot be renewed");
                    if renewed.elapsed() > LEASE {
                        self.held().send_if_modified(std::mem::take);
                        session.end();
                    }
                }
            }
            tokio::select! {
                () = self.listen(&mut session) => {}
                () = sleep(RENEW_EVERY) => {}
                () = shutdown.cancelled() => {}
            }
        }
        self.held().send_if_modified(std::mem::take);
        if let Err(error) = self.release().await {
            tracing::warn!(error = &*error, "the projector's lease was not released: it runs out by itself");
        }
    }

    async fn renew(&self, session: &mut Session<'_>) -> Result<bool, StoreError> {
        session.ensure().await?;
        self.take().await
    }

    /// Listens for requests of other processes to store, until the session ends.
    async fn listen(&self, session: &mut Session<'_>) {
        while session.asked().await {
            if *self.held().borrow() {
                self.read_models.store_soon();
            }
        }
    }

    /// Takes or renews the lease. Returns whether this process holds it.
    async fn take(&self) -> Result<bool, StoreError> {
        let mut reader = self.store().reader().await?;
        let mut connection = reader.connection();
        let checkpoints = checkpoint::load(&mut connection).await?;
        // Only the live ones: a newer build may also have filled others, to verify the log before an upgrade.
        let live = || checkpoints.iter().filter(|checkpoint| checkpoint.state == State::Live);
        let is_outdated = live().any(Checkpoint::is_newer);
        let held = *self.held().borrow();
        if is_outdated && held {
            // A newer build has rebuilt a read model while this process held the lease: it should get the lease.
            drop(reader);
            self.release().await?;
            return Ok(false);
        }
        let expires_after = if is_outdated { LEASE_OUTDATED } else { LEASE };
        let or_gone =
            if is_outdated { String::new() } else { format!("or {}", gone_condition("lease.owner")) };
        let query = Query::new(
            "insert into projector_lease as lease (name, owner, epoch, renewed_at) values ('projector', ",
        )
        .bind(&*self.owner)
        .push(
            ", 1, {now}) on conflict (name) do update
                 set epoch = case when lease.owner = excluded.owner then lease.epoch else lease.epoch + 1 end,
                     owner = excluded.owner,
                     renewed_at = excluded.renewed_at
                 where lease.owner = excluded.owner or lease.renewed_at < {now} - ",
        )
        .bind(micros(expires_after))
        .push(&format!(" {or_gone} returning epoch"));
        let rows = connection.query(&query).await?;
        let Some(epoch) = query::only(&rows).and_then(Value::integer) else { return Ok(false) };
        drop(reader);
        // An older build may also finish a rebuild later, that it began while it held the lease.
        if !held || live().any(Checkpoint::is_of_another_build) {
            generation::adopt(self.store()).await?;
        }
        if !held {
            tracing::info!(epoch, "this process runs the projector");
        }
        Ok(true)
    }

    /// Releases the lease: any process may take it at once.
    async fn release(&self) -> Result<(), StoreError> {
        let query = Query::new("update projector_lease set owner = '', renewed_at = {now} - ")
            .bind(micros(LEASE) + 1)
            .push(" where owner = ")
            .bind(&*self.owner);
        let mut reader = self.store().reader().await?;
        reader.connection().execute(&query).await?;
        Ok(())
    }
}

/// Asks the process that runs the projector to store what it has folded.
pub(crate) async fn ask_to_store(store: &Store) -> Result<(), StoreError> {
    match store {
        Store::Postgres { pool, .. } => session::ask_to_store(pool).await,
        Store::Sqlite(_) => Ok(()),
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Creates the table of the lease.
pub(crate) async fn prepare(connection: &mut Connection<'_>) -> Result<(), StoreError> {
    connection.execute(&Query::new(TABLE)).await?;
    Ok(())
}
