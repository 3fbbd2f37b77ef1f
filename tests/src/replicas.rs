//! Two servers over one PostgreSQL.

use crate::client::Client;
use crate::server::Server;
use crate::store::{Store, StoreKind};

/// Two replicas over a store of their own.
#[derive(Debug)]
pub struct Replicas {
    /// The one that started first, and leads.
    pub one: Server,
    /// The other one.
    pub other: Server,
    /// Their store, which is dropped after them.
    pub store: Store,
}

impl Replicas {
    /// Starts both, with further flags of `serve`.
    pub async fn start(flags: &[&str]) -> Self {
        let store = Store::create(StoreKind::Postgres).await;
        let one = Server::start(&store, flags).await;
        let other = Server::start(&store, flags).await;
        Self { one, other, store }
    }

    /// A client of each.
    pub fn clients(&self) -> [Client; 2] {
        [self.one.client(), self.other.client()]
    }
}
