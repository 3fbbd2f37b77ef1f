//! The schema of the event log: migrates it, and checks whether it is the one of this build.

use sqlx::migrate::Migrator;
use sqlx::query_scalar;

use super::{Database, DatabaseError, Durability, PostgresDatabase, connect_error};

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// Numbers of the migrations that this database has.
const APPLIED: &str = "select version from _sqlx_migrations where success";

impl Database {
    /// Brings the log's schema up to date, under a lock where several processes may start at once. The read
    /// models have no migrations: they are rebuilt.
    ///
    /// # Errors
    /// If a migration fails, or the schema is that of a newer build.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        match self {
            Self::Postgres(postgres) => POSTGRES.run(&postgres.pool).await,
            Self::Sqlite(sqlite) => {
                let mut writer = sqlite.write().await;
                let connection = writer.statements(Durability::Synced).await.map_err(connect_error)?;
                SQLITE.run_direct(connection).await
            }
        }
        .map_err(|error| DatabaseError::Migrate(error.into()))
    }

    /// Checks that the log's schema is the one of this build, without changing anything.
    ///
    /// # Errors
    /// [`DatabaseError::Older`] if there is no schema, or an older one; [`DatabaseError::Newer`] if it is newer.
    pub async fn check_schema(&self) -> Result<(), DatabaseError> {
        let ours = match self {
            Self::Postgres(_) => &POSTGRES,
            Self::Sqlite(_) => &SQLITE,
        };
        let applied = self.applied().await.map_err(connect_error)?;
        if applied.iter().any(|version| !ours.version_exists(*version)) {
            return Err(DatabaseError::Newer);
        }
        if ours.iter().any(|migration| !applied.contains(&migration.version)) {
            return Err(DatabaseError::Older);
        }
        Ok(())
    }

    async fn applied(&self) -> sqlx::Result<Vec<i64>> {
        match self {
            Self::Postgres(PostgresDatabase { pool, .. }) => {
                let exists = query_scalar("select to_regclass('_sqlx_migrations') is not null");
                if exists.fetch_one(pool).await? {
                    query_scalar(APPLIED).fetch_all(pool).await
                } else {
                    Ok(vec![])
                }
            }
            Self::Sqlite(sqlite) => {
                let (exists, readers) = (
                    query_scalar(
                        "select exists (select 1 from sqlite_master where name = '_sqlx_migrations')",
                    ),
                    &sqlite.readers,
                );
                if exists.fetch_one(readers).await? {
                    query_scalar(APPLIED).fetch_all(readers).await
                } else {
                    Ok(vec![])
                }
            }
        }
    }
}
