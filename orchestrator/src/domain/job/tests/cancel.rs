//! Cancelling: at once where nobody works, by asking where somebody does.

use super::*;

fn running() -> Vec<JobEvent> {
    vec![launched(), claimed(1, 0), started(1, 10)]
}

fn cancelling() -> Vec<JobEvent> {
    [running(), vec![JobEvent::CancelRequested(cancel_requested(20))]].concat()
}

/// A cancel while the holder speaks.
fn cancel_against_work(second: i64) -> CancelJob {
    CancelJob { last_contact: Some(at(second)), ..cancel(second) }
}

#[test]
fn a_queued_job_is_cancelled_at_once() {
    let never_claimed = JobCancelled { runner_id: None, attempt: 0, ..cancelled(5) };
    given([launched()]).when(cancel(5)).then([JobEvent::Cancelled(never_claimed)]);

    let between_attempts = JobCancelled { runner_id: None, ..cancelled(300) };
    given([launched(), claimed(1, 1), expired(1, ExpiryCause::Silent, 200), requeued_lost(1, 200)])
        .when(cancel(300))
        .then([JobEvent::Cancelled(between_attempts)]);
}

#[test]
fn the_holder_of_a_running_job_is_asked_to_stop() {
    given(running()).when(cancel(20)).then([JobEvent::CancelRequested(cancel_requested(20))]);
}

#[test]
fn a_silent_holder_is_not_waited_for() {
    given(running()).when(cancel(70)).then([JobEvent::CancelRequested(cancel_requested(70))]);
    given(running()).when(cancel(71)).then([JobEvent::Cancelled(cancelled(71))]);
}

#[test]
fn asking_again_changes_nothing_while_the_holder_speaks() {
    given(cancelling()).when(cancel_against_work(50)).then_nothing();
    given(cancelling()).when(cancel_against_work(5000)).then_nothing();
}

#[test]
fn asking_again_ends_the_job_once_its_holder_is_silent() {
    given(cancelling()).when(cancel(71)).then([JobEvent::Cancelled(cancelled(71))]);
}

#[test]
fn force_is_recorded_and_ends_the_job_only_after_the_grace() {
    let forced = |second| CancelJob { force: true, ..cancel_against_work(second) };
    let recorded =
        |second| JobEvent::CancelRequested(JobCancelRequested { force: true, ..cancel_requested(second) });
    given(running()).when(forced(20)).then([recorded(20)]);
    given(cancelling()).when(forced(30)).then([recorded(30)]);

    let history = [running(), vec![recorded(20)]].concat();
    given(history.clone()).when(forced(80)).then_nothing();
    given(history.clone()).when(forced(81)).then([JobEvent::Cancelled(cancelled(81))]);
    given(history).when(cancel_against_work(81)).then([JobEvent::Cancelled(cancelled(81))]);

    // Requested by a clock that was wrong, and set right meanwhile.
    let mistaken = [running(), vec![recorded(1_000)]].concat();
    given(mistaken).when(forced(20)).then([JobEvent::Cancelled(cancelled(20))]);
}

#[test]
fn the_grace_of_a_forced_cancel_counts_from_the_first_request() {
    let forced = CancelJob { force: true, ..cancel_against_work(81) };
    given(cancelling()).when(forced.clone()).then([JobEvent::Cancelled(cancelled(81))]);

    let forced_later = JobCancelRequested { force: true, ..cancel_requested(70) };
    given([cancelling(), vec![JobEvent::CancelRequested(forced_later)]].concat())
        .when(forced)
        .then([JobEvent::Cancelled(cancelled(81))]);
}

#[test]
fn a_request_without_a_reason_keeps_the_reason_of_the_one_before() {
    given(cancelling())
        .when(CancelJob { reason: None, ..cancel(71) })
        .then([JobEvent::Cancelled(cancelled(71))]);
}

#[test]
fn whatever_the_holder_reports_a_job_that_was_to_stop_ends_as_cancelled_and_keeps_the_result() {
    for report in [success(), failure(), Report { status: JobStatus::Cancelled, result: Some(result(130)) }] {
        let kept = JobCancelled { result: report.result.clone(), ..cancelled(30) };
        given(cancelling()).when(complete(Some(lease(1)), report, 30)).then([JobEvent::Cancelled(kept)]);
    }
}

#[test]
fn a_failure_of_a_job_that_was_to_stop_is_not_retried() {
    let mut history = cancelling();
    history[0] = launched_with_retries(5);
    let kept = JobCancelled { result: Some(result(1)), ..cancelled(30) };
    given(history).when(complete(Some(lease(1)), failure(), 30)).then([JobEvent::Cancelled(kept)]);
}

#[test]
fn a_report_without_a_result_of_a_job_that_was_to_stop_changes_nothing_when_sent_again() {
    let history = [cancelling(), vec![JobEvent::Cancelled(cancelled(30))]].concat();
    for status in [JobStatus::Succeeded, JobStatus::Failed, JobStatus::Cancelled] {
        given(history.clone())
            .when(complete(Some(lease(1)), Report { status, result: None }, 31))
            .then_nothing();
    }
    let of_its_own_accord = JobCancelled { reason: None, ..cancelled(30) };
    given([running(), vec![JobEvent::Cancelled(of_its_own_accord)]].concat())
        .when(complete(Some(lease(1)), Report { status: JobStatus::Succeeded, result: None }, 31))
        .then_refused(JobError::AlreadyCompleted(JobStatus::Cancelled));
}

#[test]
fn the_report_of_a_cancelled_job_sent_again_changes_nothing_and_another_is_refused() {
    let kept = JobCancelled { result: Some(result(0)), ..cancelled(30) };
    let history = [cancelling(), vec![JobEvent::Cancelled(kept)]].concat();
    given(history.clone()).when(complete(Some(lease(1)), success(), 31)).then_nothing();
    given(history)
        .when(complete(Some(lease(1)), failure(), 31))
        .then_refused(JobError::AlreadyCompleted(JobStatus::Cancelled));
}

#[test]
fn a_report_after_the_server_ended_the_job_is_refused() {
    let history = [cancelling(), vec![JobEvent::Cancelled(cancelled(81))]].concat();
    given(history)
        .when(complete(Some(lease(1)), success(), 90))
        .then_refused(JobError::AlreadyCompleted(JobStatus::Cancelled));
}

#[test]
fn cancelling_a_cancelled_job_changes_nothing() {
    given([cancelling(), vec![JobEvent::Cancelled(cancelled(81))]].concat()).when(cancel(90)).then_nothing();
}

#[test]
fn a_job_that_ended_otherwise_cannot_be_cancelled() {
    given([running(), vec![succeeded(1, 20)]].concat())
        .when(cancel(30))
        .then_refused(JobError::AlreadyEnded(JobStatus::Succeeded));
}

#[test]
fn cancelling_does_not_move_the_clock_of_the_lease() {
    given(cancelling()).when(expire(1, 130)).then_nothing();
    given(cancelling())
        .when(expire(1, 131))
        .then([expired(1, ExpiryCause::Silent, 131), JobEvent::Cancelled(cancelled(131))]);
}

#[test]
fn a_cancel_of_one_attempt_is_asked_of_its_holder() {
    let second = [
        launched(),
        claimed(1, 0),
        expired(1, ExpiryCause::Silent, 200),
        requeued_lost(1, 200),
        claimed(2, 300),
    ];
    given(second).when(cancel_against_work(310)).then([JobEvent::CancelRequested(JobCancelRequested {
        runner_id: runner(2),
        ..cancel_requested(310)
    })]);
}

#[test]
fn the_reason_of_a_cancel_has_its_weight_and_a_result_has_none() {
    let long = "x".repeat(1_000_000);
    let weight_after = |event| after(&[launched(), claimed(1, 1), event]).weight();
    let cancelled = JobCancelled { reason: Some(long.clone()), ..cancelled(2) };
    assert!(weight_after(JobEvent::Cancelled(cancelled)) >= long.len());
    let result = JobResult { output: Some(long.clone().into()), ..result(0) };
    let ended = JobCompleted { result: Some(result), ..end_recorded(1, JobStatus::Succeeded, 2) };
    assert!(weight_after(JobEvent::Completed(ended)) < long.len());
}
