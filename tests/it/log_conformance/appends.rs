//! What an append stores, and when it is refused.

use futures_util::future::join_all;
use rivet_events::id::JobId;
use rivet_events::log::{AppendError, LogSettings};
use rivet_events::{Position, StreamId, Version};

use super::fixture::{Place, append, assert_dense, claim, claimed, launch, launched, read_to_end, write};

on_every_log! {
    a_stale_append_is_refused_whole,
    a_conflict_leaves_its_neighbours_committed,
    a_write_without_events_only_asks_that_its_stream_has_not_moved,
    of_racing_appends_exactly_one_wins,
    appends_to_one_stream_keep_their_order,
    a_malformed_append_is_refused,
    a_caller_that_leaves_does_not_undo_its_append,
}

async fn a_stale_append_is_refused_whole(place: Place) {
    let log = place.open(LogSettings::default()).await;
    let (one, other) = (JobId::generate(), JobId::generate());
    log.append(launch(one)).await.unwrap();

    for wrong in [0, 2, 7] {
        let refused = log
            .append(append(vec![
                write(other, 0, vec![launched(other)]),
                write(one, wrong, vec![claimed(one)]),
            ]))
            .await
            .unwrap_err();
        assert!(
            matches!(&refused, AppendError::Conflict { stream, expected }
                if *stream == StreamId::job(one) && *expected == Version(wrong)),
            "{refused:?}"
        );
    }
    assert_eq!(log.head().await.unwrap(), Position(1));
    assert_eq!(log.read_stream(&StreamId::job(other), Version(0)).await.unwrap(), []);

    let both = append(vec![write(other, 0, vec![launched(other)]), write(one, 1, vec![claimed(one)])]);
    assert_eq!(log.append(both).await.unwrap().position(), Position(3));
}

async fn a_conflict_leaves_its_neighbours_committed(place: Place) {
    let log = place.open(LogSettings::default()).await;
    let taken = JobId::generate();
    log.append(launch(taken)).await.unwrap();

    // All of them are queued before the writer runs, so they share batches.
    let jobs: Vec<JobId> = (0..100).map(|_| JobId::generate()).collect();
    let appends = jobs.iter().enumerate().map(|(n, job)| {
        log.append(if n % 3 == 1 {
            append(vec![write(*job, 0, vec![launched(*job)]), write(taken, 0, vec![launched(taken)])])
        } else {
            launch(*job)
        })
    });
    let outcomes = join_all(appends).await;

    for (n, (job, outcome)) in jobs.iter().zip(outcomes).enumerate() {
        let stored = log.read_stream(&StreamId::job(*job), Version(0)).await.unwrap();
        if n % 3 == 1 {
            assert!(matches!(outcome, Err(AppendError::Conflict { .. })), "{outcome:?}");
            assert_eq!(stored, []);
        } else {
            assert_eq!(outcome.unwrap().envelopes, stored);
        }
    }
    let all = read_to_end(&log).await;
    assert_eq!(all.len(), 1 + 67);
    assert_dense(&all);
}

async fn a_write_without_events_only_asks_that_its_stream_has_not_moved(place: Place) {
    let log = place.open(LogSettings::default()).await;
    let guard = JobId::generate();
    log.append(launch(guard)).await.unwrap();
    let guarded = |expected| {
        let job = JobId::generate();
        append(vec![write(guard, expected, vec![]), write(job, 0, vec![launched(job)])])
    };

    for outcome in join_all((0..20).map(|_| log.append(guarded(1)))).await {
        assert_eq!(outcome.unwrap().envelopes.len(), 1);
    }
    // The guarded stream moves between the fifth and the sixth.
    let appends = (0..10).map(|n| match n {
        5 => log.append(claim(guard, 1)),
        _ => log.append(guarded(1)),
    });
    for (n, outcome) in join_all(appends).await.into_iter().enumerate() {
        match outcome {
            Ok(_) => assert!(n <= 5, "the guard had moved"),
            Err(AppendError::Conflict { stream, .. }) => assert!(n > 5 && stream == StreamId::job(guard)),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(log.read_stream(&StreamId::job(guard), Version(0)).await.unwrap().len(), 2);
    assert_dense(&read_to_end(&log).await);
}

async fn of_racing_appends_exactly_one_wins(place: Place) {
    let log = place.open(LogSettings::default()).await;
    for _ in 0..10 {
        let job = JobId::generate();
        log.append(launch(job)).await.unwrap();
        let claims = (1..=64).map(|_| log.append(claim(job, 1)));
        let outcomes = join_all(claims).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(outcomes.iter().all(|outcome| matches!(
            outcome,
            Ok(_) | Err(AppendError::Conflict { expected: Version(1), .. })
        )));
        assert_eq!(log.read_stream(&StreamId::job(job), Version(0)).await.unwrap().len(), 2);
    }
}

async fn appends_to_one_stream_keep_their_order(place: Place) {
    let log = place.open(LogSettings::default()).await;
    let job = JobId::generate();
    let appends = (0..50).map(|n| log.append(claim(job, n)));
    for outcome in join_all(appends).await {
        outcome.unwrap();
    }
    assert_eq!(log.read_stream(&StreamId::job(job), Version(0)).await.unwrap().len(), 50);
}

async fn a_malformed_append_is_refused(place: Place) {
    let log = place.open(LogSettings::default()).await;
    let job = JobId::generate();
    let twice = vec![write(job, 0, vec![launched(job)]), write(job, 1, vec![claimed(job)])];
    for writes in [vec![], vec![write(job, 0, vec![])], twice] {
        let refused = log.append(append(writes)).await.unwrap_err();
        assert!(matches!(refused, AppendError::Unavailable(_)), "{refused:?}");
    }
    assert_eq!(log.head().await.unwrap(), Position(0));
}

async fn a_caller_that_leaves_does_not_undo_its_append(place: Place) {
    let log = place.open(LogSettings::default()).await;
    let job = JobId::generate();
    {
        let mut leaving = Box::pin(log.append(launch(job)));
        assert!(futures_util::poll!(&mut leaving).is_pending());
    }
    let next = log.append(claim(job, 1)).await.unwrap();
    assert_eq!(next.position(), Position(2));
}
