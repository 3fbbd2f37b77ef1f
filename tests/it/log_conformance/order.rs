//! Positions are dense and in commit order, for any number of writers, readers and processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::future::join_all;
use rivet_events::id::JobId;
use rivet_events::log::{AppendError, LogSettings};
use rivet_events::{Envelope, Position};

use super::fixture::{Log, Place, append, assert_dense, claim, claimed, launched, write};

on_every_log! { positions_are_dense_and_in_commit_order }

async fn positions_are_dense_and_in_commit_order(place: Place) {
    readers_never_see_a_gap_or_a_late_event(vec![place.open(LogSettings::default()).await]).await;
}

/// Runs 64 writers over the given logs of one store, and one reader per log that follows it to the end.
pub(super) async fn readers_never_see_a_gap_or_a_late_event(logs: Vec<Log>) {
    const WRITERS: usize = 64;
    const APPENDS: usize = 30;
    let stored = AtomicUsize::new(0);
    let conflicts = AtomicUsize::new(0);
    let (shared, shared_version) = (JobId::generate(), AtomicU64::new(0));
    let writers = (0..WRITERS).map(|writer| {
        let log = &logs[writer % logs.len()];
        let (stored, conflicts, shared_version) = (&stored, &conflicts, &shared_version);
        async move {
            let job = JobId::generate();
            for n in 0..APPENDS as u64 {
                let own = vec![write(job, 2 * n, vec![launched(job), claimed(job)])];
                log.append(append(own)).await.unwrap();
                stored.fetch_add(2, Ordering::Relaxed);
                // Also an append that may be stale, to a stream that all writers share.
                let expected = shared_version.load(Ordering::Relaxed);
                let raced = log.append(claim(shared, expected)).await;
                match raced {
                    Ok(_) => {
                        stored.fetch_add(1, Ordering::Relaxed);
                        shared_version.fetch_max(expected + 1, Ordering::Relaxed);
                    }
                    Err(AppendError::Conflict { .. }) => {
                        conflicts.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    });
    let (done, writing) = tokio::sync::watch::channel(true);
    let readers = logs.iter().map(|log| {
        let mut writing = writing.clone();
        async move {
            let mut seen: Vec<Arc<Envelope>> = Vec::new();
            let mut changed = log.watch();
            loop {
                let finished = !*writing.borrow_and_update();
                let after = seen.last().map_or(Position(0), |last| last.position);
                let page = log.read_all(after, 37).await.unwrap();
                let idle = page.is_empty();
                for envelope in page {
                    let next = seen.last().map_or(1, |last| last.position.0 + 1);
                    assert_eq!(envelope.position, Position(next), "a gap, or a late event");
                    seen.push(envelope);
                }
                if idle && finished {
                    return seen;
                }
                if idle {
                    tokio::select! { _ = changed.changed() => {}, _ = writing.changed() => {} }
                }
            }
        }
    });
    let (histories, ()) = tokio::join!(join_all(readers), async {
        join_all(writers).await;
        done.send_replace(false);
    });
    let expected = stored.load(Ordering::Relaxed);
    assert!(expected >= 2 * WRITERS * APPENDS);
    assert!(conflicts.load(Ordering::Relaxed) > 0, "nobody raced");
    for history in &histories {
        assert_eq!(history.len(), expected);
        assert_dense(history);
        assert_eq!(history, &histories[0]);
    }
}
