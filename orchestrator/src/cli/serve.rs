//! `serve`: the server, until a signal ends it.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::signals::{EndSignals, outlive_file_size_limit};
use crate::app::App;
use crate::clock::SystemClock;
use crate::config::{Config, DatabaseUrl};
use crate::telemetry::{self, LogFormat, LogOptions};

/// What every file of SQLite begins with.
const SQLITE_HEAD: &[u8] = b"SQLite format 3\0";
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 16_384;

#[derive(Debug, Args)]
pub(super) struct ServeOptions {
    #[command(flatten)]
    config: Config,

    #[command(flatten)]
    log: LogOptions,
}

pub(super) async fn run(ServeOptions { config, log }: ServeOptions) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(&log).map_err(anyhow::Error::from_boxed)?;
    raise_file_limit();
    outlive_file_size_limit()?;
    let mut signals = EndSignals::listen()?;
    let (listen, database) = (config.listen, config.database.url.clone());
    let _lock = lock(&database)?;
    let app = App::build(config, Arc::new(SystemClock)).await?;
    let listener = bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    announce(log.format, listener.local_addr()?, &database);

    let shutdown = CancellationToken::new();
    let mut served = std::pin::pin!(app.run(listener, shutdown.clone()));
    let signal = tokio::select! {
        () = served.as_mut() => return Ok(()),
        signal = signals.next() => signal,
    };
    info!(signal, "stopping: requests under way may finish");
    shutdown.cancel();
    tokio::select! {
        () = served => Ok(()),
        signal = signals.next() => bail!("ended at once by a second signal, {signal}"),
    }
}

/// Keeps a second server from a SQLite file as long as this is not dropped: each would refuse what the other has allowed.
/// Commands beside the server need no such right.
fn lock(database: &DatabaseUrl) -> anyhow::Result<Option<File>> {
    let Some(file) = database.sqlite_file() else { return Ok(None) };
    check_kind(&file)?;
    let path = format!("{file}.lock");
    let lock = File::create(&path).with_context(|| format!("cannot write {path}"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => bail!("another server has {file} open"),
        Err(TryLockError::Error(error)) => {
            warn!(%error, path, "nothing keeps a second server from the database");
            Ok(None)
        }
    }
}

/// Refuses a file that is something else than a database, before anything is left beside it.
fn check_kind(file: &str) -> anyhow::Result<()> {
    let mut head = Vec::new();
    // What cannot be read, or is not there, is told when it is opened.
    let read = File::open(file).and_then(|file| file.take(SQLITE_HEAD.len() as u64).read_to_end(&mut head));
    ensure!(read.is_err() || head.is_empty() || head == SQLITE_HEAD, "{file} is not a SQLite database");
    Ok(())
}

/// Listens with room for all runners to come back at the same time, as far as the system allows (`somaxconn`): whom
/// there is no room for waits for seconds, or fails.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that was just ended leaves connections behind, which would be in the way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Says where the server is: at whatever level the log is, since nobody could find it otherwise.
#[expect(clippy::print_stderr, reason = "not a log line, but the answer to the command")]
fn announce(format: LogFormat, address: SocketAddr, database: &DatabaseUrl) {
    match format {
        LogFormat::Human => eprintln!("listening on http://{address}, data in {database}"),
        LogFormat::Json => info!(%address, %database, "listening on http://{address}, data in {database}"),
    }
}

/// A connection is a file, and the usual soft limit of 1024 is there for programs that select(2).
pub(super) fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        debug!(%error, "the limit of open files stays as it is");
    }
}
