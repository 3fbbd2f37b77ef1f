//! The replicas, some of which are dead at times.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use rivet_tests::client::Client;
use rivet_tests::server::Server;
use rivet_tests::store::Store;
use rivet_tests::wait::eventually;

/// Replicas by number. A client of a dead replica gets no answer.
pub(crate) struct Fleet {
    replicas: Vec<RwLock<Replica>>,
    turn: AtomicUsize,
}

struct Replica {
    /// None while it is dead.
    server: Option<Server>,
    client: Client,
}

impl Fleet {
    pub(crate) async fn start(store: &Store, replicas: usize) -> Self {
        let mut started = Vec::new();
        for _ in 0..replicas {
            let server = Server::start(store, &[]).await;
            started.push(RwLock::new(Replica { client: server.client(), server: Some(server) }));
        }
        Self { replicas: started, turn: AtomicUsize::new(0) }
    }

    /// A client of one replica, dead or alive.
    pub(crate) fn client(&self, replica: usize) -> Client {
        self.replicas[replica].read().unwrap_or_else(PoisonError::into_inner).client.clone()
    }

    /// A client of the next replica, as behind a load balancer without health checks.
    pub(crate) fn any_client(&self) -> Client {
        self.client(self.turn.fetch_add(1, Ordering::Relaxed) % self.replicas.len())
    }

    /// Kills one replica. Returns how long it took until a read on each survivor showed what was written after the
    /// kill.
    pub(crate) async fn kill(&self, victim: usize) -> Duration {
        let server = self.replicas[victim].write().unwrap_or_else(PoisonError::into_inner).server.take();
        server.expect("it was restarted").kill();
        let killed = Instant::now();
        let survivors: Vec<usize> = (0..self.replicas.len()).filter(|replica| *replica != victim).collect();
        let position = write_to(&self.client(survivors[0])).await;
        for survivor in survivors {
            let reader = self.client(survivor).with("rivet-min-position", &position);
            eventually("a fresh read on a survivor", async || {
                let answer = reader.get("/api/runners/witness").await;
                (answer.status == 200 && answer.header("rivet-stale").is_none()).then_some(())
            })
            .await;
        }
        killed.elapsed()
    }

    /// Starts a killed replica again, on another port.
    pub(crate) async fn restart(&self, store: &Store, replica: usize) {
        let server = Server::start(store, &[]).await;
        let mut place = self.replicas[replica].write().unwrap_or_else(PoisonError::into_inner);
        place.client = server.client();
        place.server = Some(server);
    }

    /// Waits until each replica has acknowledged a write.
    pub(crate) async fn wait_until_all_write(&self) {
        for replica in 0..self.replicas.len() {
            write_to(&self.client(replica)).await;
        }
    }

    pub(crate) async fn terminate(&self) {
        for replica in &self.replicas {
            let server = replica.write().unwrap_or_else(PoisonError::into_inner).server.take();
            let status = server.expect("it was restarted").terminate().await;
            assert!(status.success(), "{status}");
        }
    }
}

/// The position of a write that always has something to record, once the replica has acknowledged it.
async fn write_to(api: &Client) -> u64 {
    eventually("a replica to write", async || {
        let answer = api.register("witness", &[]).await;
        (answer.status == 200).then(|| answer.position())
    })
    .await
}
