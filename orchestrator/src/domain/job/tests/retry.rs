//! Retries after a reported failure: how many, and how far apart.

use super::*;

fn requeued_after_failure(attempt: u32, due_at: DateTime<Utc>, second: i64) -> JobEvent {
    JobEvent::Requeued(JobRequeued {
        result: Some(result(1)),
        due_at,
        ..requeue_recorded(attempt, RequeueCause::Failed, second)
    })
}

/// `failures` attempts, a thousand seconds apart, all reported as failed, and then one more that runs.
fn running_after_failures(max_retries: u32, failures: u32) -> Vec<JobEvent> {
    let mut history = vec![launched_with_retries(max_retries)];
    for attempt in 1..=failures {
        let second = 1000 * i64::from(attempt);
        history.extend([
            claimed(attempt, second),
            started(attempt, second),
            requeued_after_failure(attempt, at(second + 10), second + 1),
        ]);
    }
    let second = 1000 * i64::from(failures + 1);
    history.extend([claimed(failures + 1, second), started(failures + 1, second)]);
    history
}

#[test]
fn a_failure_with_retries_left_goes_back_to_the_queue_with_its_result() {
    given(running_after_failures(1, 0))
        .when(complete(Some(lease(1)), failure(), 1005))
        .then([requeued_after_failure(1, at(1006), 1005)]);
}

#[test]
fn a_failure_after_the_last_retry_ends_the_job() {
    let failed = JobCompleted { result: Some(result(1)), ..end_recorded(2, JobStatus::Failed, 2005) };
    given(running_after_failures(1, 1))
        .when(complete(Some(lease(2)), failure(), 2005))
        .then([JobEvent::Completed(failed)]);
}

#[test]
fn the_pipeline_being_deleted_a_failure_ends_the_job_with_its_result() {
    let report = failure();
    let complete = CompleteJob { lease: Some(lease(1)), report, retries: Retries::Forbidden, now: at(1005) };
    let failed = JobCompleted { result: Some(result(1)), ..end_recorded(1, JobStatus::Failed, 1005) };
    given(running_after_failures(1, 0))
        .when(JobCommand::Complete(complete))
        .then([JobEvent::Completed(failed)]);
}

#[test]
fn a_reported_time_out_is_retried_like_a_failure() {
    let report = Report { status: JobStatus::TimedOut, result: Some(result(124)) };
    given(running_after_failures(1, 0)).when(complete(Some(lease(1)), report, 1005)).then([
        JobEvent::Requeued(JobRequeued {
            result: Some(result(124)),
            due_at: at(1006),
            ..requeue_recorded(1, RequeueCause::RunTimeout, 1005)
        }),
    ]);
}

#[test]
fn a_retried_time_out_without_a_result_reported_again_changes_nothing() {
    let report = Report { status: JobStatus::TimedOut, result: None };
    let requeued = requeue_recorded(1, RequeueCause::RunTimeout, 1005);
    let waiting = [running_after_failures(1, 0), vec![JobEvent::Requeued(requeued)]].concat();
    let running = [waiting.clone(), vec![claimed(2, 2000)]].concat();
    for history in [waiting, running] {
        given(history).when(complete(Some(lease(1)), report.clone(), 2001)).then_nothing();
    }
}

#[test]
fn a_success_and_a_cancellation_are_never_retried() {
    given(running_after_failures(5, 0))
        .when(complete(Some(lease(1)), success(), 1005))
        .then([succeeded(1, 1005)]);
    let report = Report { status: JobStatus::Cancelled, result: None };
    given(running_after_failures(5, 0))
        .when(complete(Some(lease(1)), report, 1005))
        .then([JobEvent::Cancelled(JobCancelled { reason: None, ..cancelled(1005) })]);
}

#[test]
fn a_retried_failure_reported_again_changes_nothing_while_the_job_waits_runs_or_ended_in_the_queue() {
    let running = running_after_failures(1, 1);
    let waiting = &running[..4];
    let cancelled_waiting =
        [waiting, &[JobEvent::Cancelled(JobCancelled { runner_id: None, ..cancelled(1500) })]];
    for history in [waiting.to_vec(), running.clone(), cancelled_waiting.concat()] {
        given(history).when(complete(Some(lease(1)), failure(), 2001)).then_nothing();
    }
}

#[test]
fn a_retried_failure_is_known_without_a_lease_only_while_nobody_else_can_be_meant() {
    let waiting = vec![
        launched_with_retries(1),
        claimed_unfenced(1, 1),
        started_unfenced(1, 2),
        requeued_after_failure(1, at(4), 3),
    ];
    given(waiting.clone()).when(complete(None, failure(), 3)).then_nothing();

    let running = [waiting, vec![claimed_unfenced(2, 5), started_unfenced(2, 5)]].concat();
    let failed = JobCompleted { result: Some(result(1)), ..end_recorded(2, JobStatus::Failed, 6) };
    given(running).when(complete(None, failure(), 6)).then([JobEvent::Completed(failed)]);
}

#[test]
fn another_report_of_a_retried_attempt_is_refused() {
    given(&running_after_failures(1, 1)[..4])
        .when(complete(Some(lease(1)), success(), 1005))
        .then_refused(JobError::LeaseLost);
}

#[test]
fn retries_wait_a_second_then_twice_as_long_each_time() {
    for (failures, wait) in [(0, 1), (1, 2), (2, 4), (6, 64)] {
        let attempt = failures + 1;
        let second = 1000 * i64::from(attempt) + 5;
        given(running_after_failures(50, failures))
            .when(complete(Some(lease(attempt)), failure(), second))
            .then([requeued_after_failure(attempt, at(second + wait), second)]);
    }
}

#[test]
fn a_wait_ends_at_a_whole_microsecond() {
    let retries = Retries::Allowed { jitter: 1.0 / 3.0 };
    let complete = CompleteJob { lease: Some(lease(1)), report: failure(), retries, now: at(1005) };
    given(running_after_failures(1, 0)).when(JobCommand::Complete(complete)).then([requeued_after_failure(
        1,
        at(1006) + Duration::from_micros(83_333),
        1005,
    )]);
}

#[test]
fn a_wait_never_exceeds_a_hundred_seconds_before_jitter() {
    for retries in [7, 8, 31, 32, 1000, u32::MAX] {
        assert_eq!(ALLOWED.backoff(retries), Some(Duration::from_secs(100)));
    }
}

#[test]
fn chance_adds_up_to_a_quarter_to_a_wait() {
    for (jitter, millis) in [(0.0, 4000), (0.5, 4500), (1.0, 5000), (-3.0, 4000), (7.0, 5000)] {
        let backoff = Retries::Allowed { jitter }.backoff(2);
        assert_eq!(backoff, Some(Duration::from_millis(millis)), "{jitter}");
    }
}
