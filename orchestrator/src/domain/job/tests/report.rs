//! Start and complete: whose report counts, and what a repeated one does.

use super::*;

fn lost_and_claimed_again() -> Vec<JobEvent> {
    vec![
        launched(),
        claimed(1, 1),
        started(1, 2),
        expired(1, ExpiryCause::Silent, 200),
        requeued_lost(1, 200),
        claimed(2, 201),
    ]
}

fn ended() -> Vec<JobEvent> {
    vec![launched(), claimed(1, 1), started(1, 2), succeeded(1, 3)]
}

#[test]
fn the_first_sign_of_work_starts_the_attempt() {
    given([launched(), claimed(1, 1)]).when(start(Some(lease(1)), 2)).then([started(1, 2)]);
    given([launched(), claimed_unfenced(1, 1)]).when(start(None, 2)).then([started_unfenced(1, 2)]);
}

#[test]
fn an_attempt_starts_once() {
    given([launched(), claimed(1, 1), started(1, 2)]).when(start(Some(lease(1)), 3)).then_nothing();
    given([launched(), claimed_unfenced(1, 1), started_unfenced(1, 2)]).when(start(None, 3)).then_nothing();
}

#[test]
fn a_holder_that_sends_its_lease_later_is_known_to_fence_from_then_on() {
    let history = vec![launched(), claimed_unfenced(1, 1), started_unfenced(1, 2)];
    given(history.clone()).when(start(Some(lease(1)), 30)).then([shown(1, 30)]);

    // Formerly it was recorded as a second start.
    for shown in [shown(1, 30), started(1, 2)] {
        let known = [history.clone(), vec![shown]].concat();
        given(known.clone()).when(start(Some(lease(1)), 31)).then_nothing();
        given(known).when(start(None, 32)).then_refused(JobError::LeaseLost);
    }
}

#[test]
fn a_heartbeat_with_its_lease_shows_that_a_holder_fences_but_not_that_it_works() {
    let history = [launched(), claimed_unfenced(1, 1), started_unfenced(1, 2)];
    for history in [&history[..], &history[..2]] {
        given(history).when(show_lease(1, 30)).then([shown(1, 30)]);
        given(history).when(show_lease(7, 30)).then_refused(JobError::LeaseLost);
    }
    given([launched(), claimed(1, 1), started(1, 2)]).when(show_lease(1, 30)).then_nothing();
    given([launched(), claimed_unfenced(1, 1), shown(1, 30)])
        .when(start(Some(lease(1)), 31))
        .then([started(1, 31)]);
}

#[test]
fn a_holder_that_fences_writes_only_with_its_lease() {
    given([launched(), claimed(1, 1)]).when(start(None, 2)).then_refused(JobError::LeaseLost);
    given([launched(), claimed(1, 1)]).when(complete(None, success(), 2)).then_refused(JobError::LeaseLost);
}

#[test]
fn nor_does_anybody_write_without_it_once_the_job_has_ended() {
    given(ended()).when(start(None, 4)).then_refused(JobError::LeaseLost);
    given(ended()).when(complete(None, success(), 4)).then_refused(JobError::LeaseLost);
    let job = after(&ended());
    let log_attempt = |lease| job.log_attempt(lease, at(4), Duration::from_mins(10));
    assert_eq!(log_attempt(None), Err(JobError::LeaseLost));
    assert!(log_attempt(Some(lease(1))).is_ok());
}

#[test]
fn the_token_of_somebody_else_is_a_lost_lease() {
    for history in [vec![launched()], vec![launched(), claimed_unfenced(1, 1)], ended()] {
        given(history.clone()).when(start(Some(lease(7)), 5)).then_refused(JobError::LeaseLost);
        given(history).when(complete(Some(lease(7)), success(), 5)).then_refused(JobError::LeaseLost);
    }
}

#[test]
fn a_stale_lease_is_lost_while_the_job_waits_runs_again_and_has_ended() {
    let again = lost_and_claimed_again();
    let mut over = again.clone();
    over.extend([started(2, 202), succeeded(2, 203)]);
    for history in [&again[..5], &again, &over] {
        given(history).when(start(Some(lease(1)), 300)).then_refused(JobError::LeaseLost);
        given(history).when(complete(Some(lease(1)), success(), 300)).then_refused(JobError::LeaseLost);
    }
}

#[test]
fn nothing_can_be_started_or_completed_of_a_job_that_waits() {
    given([launched()]).when(start(None, 1)).then_refused(JobError::NotRunning);
    given([launched()]).when(complete(None, success(), 1)).then_refused(JobError::NotRunning);
}

#[test]
fn nothing_can_be_started_of_a_job_that_has_ended() {
    given(ended()).when(start(Some(lease(1)), 4)).then_refused(JobError::AlreadyEnded(JobStatus::Succeeded));
}

#[test]
fn a_complete_ends_the_job_and_starts_the_attempt_if_nothing_did_before() {
    given([launched(), claimed(1, 1), started(1, 2)])
        .when(complete(Some(lease(1)), success(), 3))
        .then([succeeded(1, 3)]);
    given([launched(), claimed(1, 1)])
        .when(complete(Some(lease(1)), success(), 3))
        .then([started(1, 3), succeeded(1, 3)]);
}

#[test]
fn a_failure_without_retries_ends_the_job_with_its_result() {
    let failed = JobCompleted { result: Some(result(1)), ..end_recorded(1, JobStatus::Failed, 3) };
    given([launched(), claimed(1, 1), started(1, 2)])
        .when(complete(Some(lease(1)), failure(), 3))
        .then([JobEvent::Completed(failed)]);
}

#[test]
fn a_holder_may_report_a_cancellation_or_a_time_out_of_its_own() {
    let history = [launched(), claimed(1, 1), started(1, 2)];
    let report = |status| Report { status, result: Some(result(1)) };
    given(history.clone())
        .when(complete(Some(lease(1)), report(JobStatus::Cancelled), 3))
        .then([JobEvent::Cancelled(JobCancelled { result: Some(result(1)), reason: None, ..cancelled(3) })]);
    given(history).when(complete(Some(lease(1)), report(JobStatus::TimedOut), 3)).then([JobEvent::TimedOut(
        JobTimedOut { result: Some(result(1)), ..timed_out(1, "reported by the runner", 3) },
    )]);
}

#[test]
fn the_same_result_again_changes_nothing() {
    given(ended()).when(complete(Some(lease(1)), success(), 9)).then_nothing();
    given([launched(), claimed_unfenced(1, 1), started_unfenced(1, 2), succeeded(1, 3)])
        .when(complete(None, success(), 9))
        .then_nothing();
}

#[test]
fn another_result_for_an_ended_job_is_refused() {
    let other_result = Report { result: Some(result(3)), ..success() };
    let other_status = Report { status: JobStatus::Failed, ..success() };
    for report in [other_result, other_status, failure(), Report { result: None, ..success() }] {
        given(ended())
            .when(complete(Some(lease(1)), report, 9))
            .then_refused(JobError::AlreadyCompleted(JobStatus::Succeeded));
    }
}

#[test]
fn a_word_that_is_no_end_completes_nothing() {
    for status in [JobStatus::Queued, JobStatus::Running] {
        for history in [vec![launched()], vec![launched(), claimed(1, 1)], ended()] {
            given(history)
                .when(complete(Some(lease(1)), Report { status, result: None }, 9))
                .then_refused(JobError::NotTerminal(status));
        }
    }
}

#[test]
fn a_late_complete_without_a_lease_counts_only_against_a_holder_that_does_not_fence() {
    let first_lost = |second_claim| {
        let requeued = requeue_recorded(1, RequeueCause::RunnerLost, 1000);
        [
            JobEvent::Launched(JobLaunched { max_retries: 1, retry_on_runner_lost: true, ..launch() }),
            claimed_unfenced(1, 1),
            expired(1, ExpiryCause::Silent, 1000),
            JobEvent::Requeued(requeued),
            second_claim,
        ]
    };
    given(first_lost(claimed_unfenced(2, 1001)))
        .when(complete(None, success(), 1002))
        .then([started_unfenced(2, 1002), succeeded(2, 1002)]);
    given(first_lost(claimed(2, 1001)))
        .when(complete(None, success(), 1002))
        .then_refused(JobError::LeaseLost);
    given(&first_lost(claimed(2, 1001))[..4])
        .when(complete(None, success(), 1002))
        .then_refused(JobError::NotRunning);
}

#[test]
fn a_refused_report_is_kept_once_for_the_history() {
    let again = lost_and_claimed_again();
    given(again.clone()).when(refuse(1, 300)).then([refused(1, 300)]);
    given([again, vec![refused(1, 300)]].concat()).when(refuse(1, 301)).then_nothing();
}

#[test]
fn a_refused_report_is_kept_also_while_the_job_waits_and_after_its_end() {
    let again = lost_and_claimed_again();
    given(&again[..5]).when(refuse(1, 300)).then([refused(1, 300)]);
    let over = [again, vec![started(2, 202), succeeded(2, 203)]].concat();
    given(over.clone()).when(refuse(1, 300)).then([refused(1, 300)]);
    given([over, vec![refused(1, 300)]].concat())
        .when(complete(Some(lease(2)), success(), 301))
        .then_nothing();
}

#[test]
fn a_refused_report_is_kept_also_of_an_attempt_that_ended_by_another_report() {
    let mut history = vec![launched_with_retries(2)];
    for attempt in 1..=3 {
        let second = i64::from(attempt) * 10;
        history.extend([claimed(attempt, second), started(attempt, second)]);
        given(history.clone()).when(refuse(attempt, second)).then_nothing();
        history.push(if attempt < 3 { requeued_failed(attempt, second) } else { succeeded(attempt, second) });
        for attempt in 1..=attempt {
            given(history.clone()).when(refuse(attempt, 300)).then([refused(attempt, 300)]);
        }
    }
}

#[test]
fn a_report_under_a_lease_that_is_not_a_past_one_leaves_no_trace() {
    for attempt in [2, 7] {
        given(lost_and_claimed_again()).when(refuse(attempt, 300)).then_nothing();
    }
}
