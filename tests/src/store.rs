//! A database of either kind, fresh for each test, and a macro that runs one test on both.

use std::path::PathBuf;

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

    /// Creates a database in a PostgreSQL of its own, which keeps what it committed when it is killed.
    pub async fn in_own_cluster() -> Self {
        Self::in_cluster(Cluster::start(Durability::Full).await).await
    }

    /// Creates a database in a given cluster, which is dropped with it.
    pub async fn in_cluster(cluster: Cluster) -> Self {
        Self { url: cluster.create_database().await, place: Place::Own(Box::new(cluster)) }
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
