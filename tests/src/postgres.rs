//! A PostgreSQL of the tests' own: a throwaway cluster in the temporary directory, reached over a Unix socket.
//!
//! It needs nothing running and leaves nothing behind: a watchdog stops it and removes its files when the
//! process that started it ends, however it ends.

mod binaries;
mod host;

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use self::binaries::Binaries;
use self::host::Account;
use crate::wait::eventually;

/// Waits for the end of its input, which is the end of the process that holds the other side, then stops the
/// cluster under the directory `$1` at once and removes it. Again while something is still being written there.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
read -r nothing
tries=0
while [ -e "$1" ] && [ $tries -lt 100 ]; do
    pid=$(head -n 1 "$1/data/postmaster.pid") && kill -QUIT "$pid"
    rm -rf "$1" || sleep 0.1
    tries=$((tries + 1))
done
"#;

const SETTINGS: &str = "
listen_addresses = ''
port = 5432
max_connections = 2000
";

/// For tests that never pull the plug: several times faster.
const RELAXED_SETTINGS: &str = "
fsync = off
synchronous_commit = off
full_page_writes = off
";

/// How often a database is to be dropped at most: whoever is just connecting to it is in the way.
const DROPS: usize = 20;

/// What a commit means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Safe in memory: for tests in which PostgreSQL does not crash.
    Relaxed,
    /// Safe on disk, PostgreSQL's own default: for crash tests and measurements.
    Full,
}

/// A running PostgreSQL. Dropping it stops it and removes its files.
#[derive(Debug)]
pub struct Cluster {
    binaries: &'static Binaries,
    directory: PathBuf,
    account: Option<Account>,
    /// Its standard input is the lifeline: the watchdog acts when it closes.
    watchdog: Child,
    databases: AtomicU64,
}

impl Cluster {
    /// The cluster that the tests of this process share, with relaxed durability. Started on first use.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_init(|| Self::start(Durability::Relaxed)).await
    }

    /// A new cluster.
    ///
    /// # Panics
    /// When there is no PostgreSQL and none can be fetched, with a line that says what to install.
    pub async fn start(durability: Durability) -> Self {
        let initialised = spawn_blocking(move || Self::initialise(durability)).await;
        let cluster = initialised.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        cluster.resume().await;
        cluster
    }

    fn initialise(durability: Durability) -> Self {
        let binaries = Binaries::find();
        let account = host::unprivileged_account();
        let directory = tempfile::Builder::new()
            .prefix("rivet-postgres-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(host::temporary_directory())
            .expect("the temporary directory can be written")
            .keep();
        let watchdog = watch_over(&directory);
        if let Some(Account { user, group }) = account {
            chown(&directory, Some(user), Some(group)).expect("root may give a directory away");
        }
        let cluster = Self { binaries, directory, account, watchdog, databases: AtomicU64::new(0) };
        cluster.run(
            "initdb",
            &[
                "--username=rivet",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ],
        );
        let durability = match durability {
            Durability::Relaxed => RELAXED_SETTINGS,
            Durability::Full => "",
        };
        let place = format!("unix_socket_directories = '{}'", cluster.directory.display());
        let settings = [SETTINGS, durability, &place].concat();
        fs::File::options()
            .append(true)
            .open(cluster.data().join("postgresql.conf"))
            .and_then(|mut file| file.write_all(settings.as_bytes()))
            .expect("the settings of a new cluster can be written");
        cluster
    }

    /// The URL of a new, empty database.
    pub async fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut administrator =
            PgConnection::connect(&self.url("postgres")).await.expect("the cluster takes connections");
        sqlx::query(&format!("create database {name}"))
            .execute(&mut administrator)
            .await
            .expect("the cluster has room for a database");
        administrator.close().await.expect("the cluster ends a connection in order");
        self.url(&name)
    }

    /// Removes a database of [`Self::create_database`], under whoever still uses it. Nothing happens where the
    /// cluster is down: it goes as a whole.
    pub fn drop_database(&self, url: &str) {
        let name = url.split(['/', '?']).nth(3).expect("the URL is one of ours");
        let socket = self.directory.to_str().expect("its path is UTF-8");
        let drop = ["--force", "--if-exists", "--username=rivet", "--port=5432", "--host", socket, name];
        let _is_gone = (0..DROPS).any(|_| self.output("dropdb", &drop).status.success());
    }

    /// Stops it in order: whoever is connected is cut off, everything is written.
    pub fn stop(&self) {
        self.run("pg_ctl", &["stop", "--wait", "--mode=fast"]);
    }

    /// Kills it in mid-flight: what is not durable is lost.
    pub fn kill(&self) {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).expect("the cluster runs");
        let pid = file.lines().next().and_then(|line| line.parse().ok()).and_then(Pid::from_raw);
        kill_process(pid.expect("the first line is its pid"), Signal::KILL).expect("the cluster runs");
    }

    /// Starts it again, and returns when it takes connections.
    pub async fn resume(&self) {
        let log = self.directory.join("log");
        let log = log.to_str().expect("its path is UTF-8");
        // After a kill, PostgreSQL does not start until the last of its old processes has gone.
        eventually("PostgreSQL to start", async || {
            let mut start = self.command("pg_ctl", &["start", "--wait", "--log", log]);
            let started = spawn_blocking(move || start.output()).await.expect("it does not panic");
            started.expect("pg_ctl can be run").status.success().then_some(())
        })
        .await;
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://rivet@localhost:5432/{database}?host={}", self.directory.display())
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.output(program, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?} failed: {said}");
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Output {
        let output = self.command(program, arguments).output();
        output.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"))
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.binaries.command(program);
        command.args(arguments).env("PGDATA", self.data()).current_dir(&self.directory);
        if let Some(Account { user, group }) = self.account {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

fn watch_over(directory: &Path) -> Child {
    Command::new("sh")
        .args(["-c", WATCHDOG, "watchdog"])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of reach of an interrupt from the keyboard, which goes to the whole group.
        .process_group(0)
        .spawn()
        .expect("every Unix has sh")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cluster_leaves_nothing_behind() {
        let cluster = Cluster::start(Durability::Relaxed).await;
        let directory = cluster.directory.clone();
        assert!(directory.join("data/postmaster.pid").exists());
        drop(cluster);
        assert!(!directory.exists());
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_a_kill() {
        let cluster = Cluster::start(Durability::Full).await;
        let url = cluster.create_database().await;
        let mut before = PgConnection::connect(&url).await.unwrap();
        let fsync: String = sqlx::query_scalar("show fsync").fetch_one(&mut before).await.unwrap();
        assert_eq!(fsync, "on");
        sqlx::query("create table kept (n int)").execute(&mut before).await.unwrap();
        cluster.kill();
        cluster.resume().await;
        let mut after = PgConnection::connect(&url).await.unwrap();
        sqlx::query("select n from kept").fetch_all(&mut after).await.unwrap();
        cluster.stop();
        assert!(PgConnection::connect(&url).await.is_err());
    }

    #[tokio::test]
    async fn a_dropped_database_is_gone() {
        let cluster = Cluster::shared().await;
        let url = cluster.create_database().await;
        let _user = PgConnection::connect(&url).await.unwrap();
        cluster.drop_database(&url);
        assert!(PgConnection::connect(&url).await.is_err());
    }
}
