//! A server in the process of the test, for tests that set its clock.

use std::sync::Arc;

use rivet_orchestrator::app::App;
use rivet_orchestrator::clock::Clock;
use rivet_orchestrator::config::Config;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::Client;
use crate::program;
use crate::server::READ_WAIT;

/// A running server.
#[derive(Debug)]
pub struct LocalServer {
    client: Client,
    shutdown: CancellationToken,
    running: TaskTracker,
}

impl LocalServer {
    /// Starts a server on a free port. Its reads wait as long as those of [`crate::server::Server`].
    pub async fn start(mut config: Config, clock: Arc<dyn Clock>) -> Self {
        config.load.read_wait = READ_WAIT;
        let listener = TcpListener::bind(config.listen).await.expect("a port is free");
        let client = Client::new(format!("http://{}", listener.local_addr().expect("it is bound")));
        let app = App::build_with(config, clock, program::path()).await.expect("its store is usable");
        let (shutdown, running) = (CancellationToken::new(), TaskTracker::new());
        running.spawn(app.run(listener, shutdown.clone()));
        running.close();
        Self { client, shutdown, running }
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Stops it, and waits until it has ended.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.running.wait().await;
    }
}
