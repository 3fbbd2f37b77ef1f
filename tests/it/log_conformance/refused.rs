//! What holds when PostgreSQL refuses to store an append. SQLite refuses none.

use futures_util::future::join_all;
use rivet_events::id::JobId;
use rivet_events::log::{AppendError, LogSettings, StreamWrite};
use rivet_events::{StreamId, StreamType, Version};

use rivet_tests::store::{Store, StoreKind};

use super::fixture::{append, assert_dense, launch, launched, open, read_to_end};

#[tokio::test]
async fn an_append_that_the_database_refuses_fails_alone() {
    let store = Store::create(StoreKind::Postgres).await;
    let log = open(&store, LogSettings::default()).await;
    // Too long for an index, even when it is compressed.
    let id: String = (0..500).map(|_| JobId::generate().to_string()).collect();
    let too_long = append(vec![StreamWrite {
        stream: StreamId::new(StreamType::Group, id),
        expected: Version(0),
        events: vec![launched(JobId::generate())],
    }]);

    // All of them are queued before the writer runs, so they share batches.
    let appends =
        (0..100).map(|n| log.append(if n == 37 { too_long.clone() } else { launch(JobId::generate()) }));
    let outcomes = join_all(appends).await;

    for (n, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(matches!(outcome, Err(AppendError::Unavailable(_))), n == 37, "{outcome:?}");
    }
    let all = read_to_end(&log).await;
    assert_eq!(all.len(), 99);
    assert_dense(&all);
}
