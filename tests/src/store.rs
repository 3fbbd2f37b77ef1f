//! A database of either kind, fresh for each test, and a macro that runs one test on both.

use std::path::PathBuf;

use rivet_events::database::{self, Database};
use rivet_events::log::{self, LogSettings};
use sqlx::Executor as _;
use sqlx::sqlite::SqliteArguments;

use crate::history::{self, Stream};
use crate::postgres::{Cluster, Durability};

/// The kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// SQLite: one file, one process.
    Sqlite,
    /// PostgreSQL: a server, any number of processes.
    Postgres,
}

/// An empty database, removed when dropped.
#[derive(Debug)]
pub struct Store {
    url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Directory(#[expect(dead_code, reason = "held for its drop")] tempfile::TempDir),
    Shared(&'static Cluster),
    Own(Box<Cluster>),
}

impl Store {
    /// Creates a new database.
    pub async fn create(kind: StoreKind) -> Self {
        match kind {
            StoreKind::Sqlite => {
                let directory = tempfile::Builder::new()
                    .prefix("rivet-sqlite-")
                    .tempdir()
                    .expect("the temporary directory can be written");
                let file: PathBuf = directory.path().join("rivet.db");
                Self { url: format!("sqlite://{}", file.display()), place: Place::Directory(directory) }
            }
            StoreKind::Postgres => {
                let cluster = Cluster::shared().await;
                Self { url: cluster.create_database().await, place: Place::Shared(cluster) }
            }
        }
    }

    /// As [`Self::create`], but PostgreSQL is one of its own, which keeps what it committed when it is killed.
    pub async fn durable(kind: StoreKind) -> Self {
        match kind {
            StoreKind::Sqlite => Self::create(kind).await,
            StoreKind::Postgres => {
                let cluster = Cluster::start(Durability::Full).await;
                Self { url: cluster.create_database().await, place: Place::Own(Box::new(cluster)) }
            }
        }
    }

    /// The cluster of this database.
    ///
    /// # Panics
    /// If it is a file.
    pub fn cluster(&self) -> &Cluster {
        match &self.place {
            Place::Directory(_) => panic!("{} is in no cluster", self.url),
            Place::Shared(cluster) => cluster,
            Place::Own(cluster) => cluster,
        }
    }

    /// Its URL, for `--database-url`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens it as another process would, with the tables of the log.
    pub async fn open(&self) -> Database {
        let database = Database::connect(&self.url).await.expect("it is there");
        database.migrate().await.expect("its log is that of this build, or none");
        database
    }

    /// Appends these streams to its log, `step` events at a time.
    pub async fn append(&self, streams: &[Stream], step: usize) {
        let database = self.open().await;
        let log = log::open(&database, LogSettings::default()).await.expect("it has the tables");
        history::append_all(&*log, streams, step).await;
        log.close().await;
        database.close().await;
    }

    /// Runs statements as one transaction, behind the back of all processes.
    pub async fn execute(&self, statements: &str) {
        let database = Database::connect(&self.url).await.expect("it is there");
        let executed = match &database {
            Database::Postgres(postgres) => postgres.pool.execute(statements).await.map(drop),
            Database::Sqlite(sqlite) => {
                let synced = database::Durability::Synced;
                sqlite.transact(synced, statements, SqliteArguments::default()).await.map(drop)
            }
        };
        executed.unwrap_or_else(|error| panic!("{statements}: {error}"));
        database.close().await;
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        match &self.place {
            Place::Directory(_) | Place::Own(_) => {}
            Place::Shared(cluster) => cluster.drop_database(&self.url),
        }
    }
}

/// Makes two tests, `sqlite::NAME` and `postgres::NAME`, of each named function, which is an `async fn(StoreKind)`.
///
/// ```text
/// on_both_stores! { a_job_is_claimed_once, a_finished_job_stays_finished }
///
/// async fn a_job_is_claimed_once(kind: StoreKind) { … }
/// ```
#[macro_export]
macro_rules! on_both_stores {
    ($($rule:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $rule() {
                    super::$rule($crate::store::StoreKind::Sqlite).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $rule() {
                    super::$rule($crate::store::StoreKind::Postgres).await;
                }
            )+
        }
    };
}
