//! A PostgreSQL of the tests' own: a throwaway cluster in the temporary directory, reached over a Unix socket.
//!
//! It needs no running server and leaves nothing behind: when the process that started it ends, in whatever way, a
//! watchdog stops it and removes its files.

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

/// The watchdog. Waits until its standard input is closed, which happens when the process with the other end ends,
/// then stops the cluster in the directory `$1` at once and removes it, repeatedly if something is still being
/// written there.
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

/// Settings without durability, for tests in which PostgreSQL is never killed: several times faster.
const RELAXED_SETTINGS: &str = "
fsync = off
synchronous_commit = off
full_page_writes = off
";

/// Maximum number of tries to drop a database: a client that is just connecting makes it fail.
const DROPS: usize = 20;

/// How durable a commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// In memory: for tests in which PostgreSQL is not killed.
    Relaxed,
    /// On disk, PostgreSQL's own default: for crash tests and measurements.
    Full,
}

/// A running PostgreSQL. Dropping it stops it and removes its files.
#[derive(Debug)]
pub struct Cluster {
    binaries: &'static Binaries,
    directory: PathBuf,
    account: Option<Account>,
    /// The write end of the watchdog's standard input: the watchdog acts when it is closed.
    watchdog: Child,
    databases: AtomicU64,
}

impl Cluster {
    /// The cluster that the tests of this process share, with relaxed durability. Started on first use.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_init(|| Self::start(Durability::Relaxed)).await
    }

    /// Starts a new cluster.
    ///
    /// # Panics
    /// If no PostgreSQL is installed and none can be fetched, with a message that says what to install.
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

    /// Drops a database of [`Self::create_database`], even if it is in use. Does nothing if the cluster is stopped,
    /// since that is removed as a whole.
    pub fn drop_database(&self, url: &str) {
        let name = url.split(['/', '?']).nth(3).expect("the URL is one of ours");
        let socket = self.directory.to_str().expect("its path is UTF-8");
        let drop = ["--force", "--if-exists", "--username=rivet", "--port=5432", "--host", socket, name];
        let _is_gone = (0..DROPS).any(|_| self.output("dropdb", &drop).status.success());
    }

    /// Stops the cluster in order: clients are disconnected, and everything is written to disk.
    pub fn stop(&self) {
        self.run("pg_ctl", &["stop", "--wait", "--mode=fast"]);
    }

    /// Kills the cluster: what is not durable is lost.
    pub fn kill(&self) {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).expect("the cluster runs");
        let pid = file.lines().next().and_then(|line| line.parse().ok()).and_then(Pid::from_raw);
        kill_process(pid.expect("the first line is its pid"), Signal::KILL).expect("the cluster runs");
    }

    /// Starts the cluster again, and returns when it accepts connections.
    pub async fn resume(&self) {
        let log = self.directory.join("log");
        let log = log.to_str().expect("its path is UTF-8");
        // After a kill, PostgreSQL does not start before the last of its old processes has ended.
        eventually("PostgreSQL to start", async || {
            let mut start = self.command("pg_ctl", &["start", "--wait", "--log", log]);
            let started = spawn_blocking(move || start.output()).await.expect("it does not panic");
            started.expect("pg_ctl can be run").status.success().then_some(())
        })
        .await;
    }

    /// Stops the cluster, copies its files, and starts it again.
    pub async fn back_up(&self) {
        self.stop();
        copy(&self.data(), &self.backup());
        self.resume().await;
    }

    /// Kills the cluster, and starts it again with the files of [`Self::back_up`], as a standby that lacks what was
    /// committed since, and gets no more of it.
    pub async fn fail_over(&self) {
        self.kill();
        fs::remove_dir_all(self.data()).expect("nobody writes there any more");
        copy(&self.backup(), &self.data());
        fs::File::create(self.data().join("standby.signal")).expect("the new files can be written");
        self.resume().await;
    }

    /// Makes the standby of [`Self::fail_over`] the primary.
    pub fn promote(&self) {
        self.run("pg_ctl", &["promote", "--wait"]);
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://rivet@localhost:5432/{database}?host={}", self.directory.display())
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn backup(&self) -> PathBuf {
        self.directory.join("backup")
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

/// Copies a directory with its owners and permissions.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} cannot be copied", from.display());
}

fn watch_over(directory: &Path) -> Child {
    Command::new("sh")
        .args(["-c", WATCHDOG, "watchdog"])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // In a process group of its own: Ctrl-C on the keyboard interrupts the whole group of the test.
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
