//! `serve`: the server, until a signal ends it.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::environment;
use super::signals::{EndSignals, outlive_file_size_limit};
use crate::app::App;
use crate::clock::SystemClock;
use crate::config::{Config, DatabaseUrl};
use crate::telemetry::{self, LogFormat, LogOptions};

/// The bytes with which every SQLite database begins.
const SQLITE_HEAD: &[u8] = b"SQLite format 3\0";
/// Whatever this process has in memory may come from events that do not exist any more; another one begins without.
const LOST_EVENTS: &str =
    "the database has lost events that this server has seen, as after a failover or a restore";
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 16_384;

#[derive(Debug, Args)]
pub(super) struct ServeOptions {
    #[command(flatten)]
    config: Config,

    #[command(flatten)]
    log: LogOptions,
}

impl ServeOptions {
    /// Checks the options against each other; the error says which of them contradict.
    pub(super) fn check(&self) -> Result<(), String> {
        self.config.check()
    }
}

pub(super) async fn run(ServeOptions { config, log }: ServeOptions) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(&log).map_err(anyhow::Error::from_boxed)?;
    environment::warn_of_unknown();
    raise_file_limit();
    outlive_file_size_limit()?;
    let mut signals = EndSignals::listen()?;
    let (listen, database) = (config.listen, config.database.url.clone());
    let _lock = lock(&database)?;
    // It may have to wait, as for the lock of a migration.
    let app = tokio::select! {
        built = App::build(config, Arc::new(SystemClock)) => built?,
        signal = signals.next() => bail!("ended by {signal} before it served"),
    };
    let lost_events = app.lost_events();
    let listener = bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    announce(log.format, listener.local_addr()?, &database);

    let shutdown = CancellationToken::new();
    let mut served = std::pin::pin!(app.run(listener, shutdown.clone()));
    let signal = tokio::select! {
        () = served.as_mut() => return Ok(()),
        signal = signals.next() => signal,
        () = lost_events.cancelled() => {
            error!("{LOST_EVENTS}: start it again, to go on from those that are left");
            bail!(LOST_EVENTS)
        }
    };
    info!(signal, "stopping: requests under way may finish");
    shutdown.cancel();
    tokio::select! {
        () = served => Ok(()),
        signal = signals.next() => bail!("ended at once by a second signal, {signal}"),
    }
}

/// Locks a SQLite file against a second server, until the result is dropped: each of the two would refuse what the
/// other has allowed. Commands beside the server do not need the lock.
fn lock(database: &DatabaseUrl) -> anyhow::Result<Option<File>> {
    let Some((file, lock_file)) = database.sqlite_file().zip(database.beside(".lock")) else {
        return Ok(None);
    };
    check_kind(&file)?;
    let path = lock_file.display();
    let lock = File::create(&lock_file).with_context(|| format!("cannot write {path}"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => bail!("another server has {file} open"),
        Err(TryLockError::Error(error)) => {
            warn!(%error, %path, "nothing keeps a second server from the database");
            Ok(None)
        }
    }
}

/// Refuses a file that is not a SQLite database, before a lock file is created beside it.
fn check_kind(file: &str) -> anyhow::Result<()> {
    ensure!(!Path::new(file).is_dir(), "{file} is a directory");
    let mut head = Vec::new();
    // A file that is missing or cannot be read is reported when the database is opened.
    let read = File::open(file).and_then(|file| file.take(SQLITE_HEAD.len() as u64).read_to_end(&mut head));
    ensure!(read.is_err() || head.is_empty() || head == SQLITE_HEAD, "{file} is not a SQLite database");
    Ok(())
}

/// Listens with a backlog that has room for all runners to reconnect at the same time, as far as the system allows
/// (`somaxconn`). A connection that finds the backlog full waits for seconds, or fails.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections that a server has just left behind would otherwise keep the address in use.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Says where the server listens, whatever the log filter is, since nobody could find it otherwise.
#[expect(clippy::print_stderr, reason = "not a log line, but the answer to the command")]
fn announce(format: LogFormat, address: SocketAddr, database: &DatabaseUrl) {
    match format {
        LogFormat::Human => eprintln!("listening on http://{address}, data in {database}"),
        LogFormat::Json => info!(%address, %database, "listening on http://{address}, data in {database}"),
    }
}

/// Raises the soft limit of open files to the hard limit, since every connection is a file. The usual soft limit of
/// 1024 is there for programs that use select(2).
pub(super) fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        debug!(%error, "the limit of open files stays as it is");
    }
}
