//! A throwaway PostgreSQL for the tests and benchmarks of one process.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

/// Runs a server until its standard input closes, which it does when the process that started it ends in any way.
const SCRIPT: &str = r#"
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
PATH="${bin:-/usr/local/bin}:$PATH"
dir=$(mktemp -d "${TMPDIR:-/tmp}/rivet-postgres-XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"
initdb -D data -A trust -U rivet --no-sync >log 2>&1 || { cat log; exit 1; }
postgres -D data -k "$dir" -p "$0" -c max_connections=300 "$@" </dev/null >>log 2>&1 &
server=$!
until pg_isready -q -h 127.0.0.1 -p "$0"; do kill -0 $server || { cat log; exit 1; }; sleep 0.05; done
echo ready
read -r _ || true
kill -INT $server
wait $server || true
"#;

/// What a commit means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Safe in memory: for tests in which PostgreSQL does not crash.
    Relaxed,
    /// Safe on disk, PostgreSQL's own default: for crash tests and measurements.
    Full,
}

/// A running server.
#[derive(Debug)]
pub struct Cluster {
    url: String,
    databases: AtomicU64,
    /// Its standard input is open as long as the server is to run.
    _process: Child,
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
    /// When there is no PostgreSQL.
    #[expect(clippy::unused_async, reason = "callers need not know that starting blocks")]
    pub async fn start(durability: Durability) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let mut command = if rustix::process::geteuid().is_root() {
            // initdb refuses to run as root.
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let mut process = command
            .args(["-c", SCRIPT, &port.to_string()])
            .args(match durability {
                Durability::Relaxed => ["-c", "fsync=off"].as_slice(),
                Durability::Full => [].as_slice(),
            })
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("PostgreSQL can be started");
        let mut first_line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut first_line).expect("the server speaks");
        assert_eq!(first_line.trim(), "ready", "PostgreSQL did not start");
        Self {
            url: format!("postgres://rivet@127.0.0.1:{port}"),
            databases: AtomicU64::new(0),
            _process: process,
        }
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    /// When the cluster is gone.
    pub async fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection =
            PgConnection::connect(&format!("{}/postgres", self.url)).await.expect("it takes connections");
        connection.execute(format!("create database {name}").as_str()).await.expect("it has room");
        format!("{}/{name}", self.url)
    }
}
