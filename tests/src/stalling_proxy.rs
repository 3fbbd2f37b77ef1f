//! A proxy to PostgreSQL that can fall silent: its connections stay open, but pass nothing on any more.

use std::future;
use std::path::Path;

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// The name of PostgreSQL's socket in its directory.
const SOCKET: &str = ".s.PGSQL.5432";

/// A proxy between a process and PostgreSQL, which runs until the runtime of its test ends.
#[derive(Debug)]
pub struct StallingProxy {
    url: String,
    stall: watch::Sender<()>,
    /// The directory of its socket.
    _directory: TempDir,
}

impl StallingProxy {
    /// Starts a proxy for the database with this URL.
    pub fn start(url: &str) -> Self {
        let (database, server) = url.split_once("?host=").expect("the URL is one of ours");
        let server = Path::new(server).join(SOCKET);
        let directory = tempfile::tempdir().expect("the temporary directory can be written");
        let listener = UnixListener::bind(directory.path().join(SOCKET)).expect("the name is free");
        let stall = watch::Sender::new(());
        let (stalls, tasks) = (stall.clone(), TaskTracker::new());
        tasks.clone().spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (server, mut stalled) = (server.clone(), stalls.subscribe());
                tasks.spawn(async move {
                    let mut server = UnixStream::connect(server).await?;
                    tokio::select! {
                        // First, so that nothing passes that was sent after the stall began.
                        biased;
                        // Both ends stay open.
                        _ = stalled.changed() => future::pending().await,
                        passed = copy_bidirectional(&mut client, &mut server) => passed.map(|_| ()),
                    }
                });
            }
        });
        Self { url: format!("{database}?host={}", directory.path().display()), stall, _directory: directory }
    }

    /// The URL of the database through the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Existing connections pass nothing on any more; new ones do.
    pub fn stall(&self) {
        self.stall.send_replace(());
    }
}
