//! Lost holders: who counts as lost, and what becomes of the job.

use super::*;

fn running() -> Vec<JobEvent> {
    vec![launched(), claimed(1, 0), started(1, 10)]
}

fn running_unfenced(launch: JobLaunched) -> Vec<JobEvent> {
    vec![JobEvent::Launched(launch), claimed_unfenced(1, 0), started_unfenced(1, 10)]
}

/// `losses` attempts lost in a row, and one more that was claimed at second 10,000.
fn running_after_losses(losses: u32) -> Vec<JobEvent> {
    let mut history = vec![launched()];
    for attempt in 1..=losses {
        let second = 1000 * i64::from(attempt);
        history.extend([
            claimed(attempt, second),
            expired(attempt, ExpiryCause::Silent, second + 200),
            requeued_lost(attempt, second + 200),
        ]);
    }
    history.push(claimed(losses + 1, 10_000));
    history
}

#[test]
fn a_silent_holder_that_fences_is_lost_after_its_lease_and_the_job_requeued_at_once() {
    given(running()).when(expire(1, 130)).then_nothing();
    given(running()).when(expire(1, 131)).then([expired(1, ExpiryCause::Silent, 131), requeued_lost(1, 131)]);
}

#[test]
fn the_pipeline_being_deleted_the_loss_of_a_holder_ends_the_job() {
    let unfenced = running_unfenced(JobLaunched { max_retries: 1, ..launch() });
    for history in [running(), unfenced] {
        given(history)
            .when(ExpireLease { retries: Retries::Forbidden, ..expire(1, 1000) })
            .then([expired(1, ExpiryCause::Silent, 1000), failed_for("runner_lost", 1, 1000)]);
    }
}

#[test]
fn any_contact_of_the_holder_renews_its_lease() {
    given(running()).when(ExpireLease { last_contact: Some(at(100)), ..expire(1, 220) }).then_nothing();
    given(running())
        .when(ExpireLease { last_contact: Some(at(100)), ..expire(1, 221) })
        .then([expired(1, ExpiryCause::Silent, 221), requeued_lost(1, 221)]);
}

#[test]
fn contact_before_the_claim_does_not_shorten_the_lease() {
    given(running()).when(ExpireLease { last_contact: Some(at(-500)), ..expire(1, 130) }).then_nothing();
}

#[test]
fn a_clock_that_is_behind_expires_nothing() {
    given(running()).when(expire(1, -500)).then_nothing();
}

#[test]
fn an_expiry_of_another_lease_does_nothing() {
    given(running()).when(expire(2, 5000)).then_nothing();
    let claimed_again = [running_after_losses(1)].concat();
    given(claimed_again).when(expire(1, 50_000)).then_nothing();
}

#[test]
fn an_expiry_does_nothing_to_a_job_that_nobody_holds() {
    given([launched()]).when(expire(1, 5000)).then_nothing();
    given([running(), vec![succeeded(1, 20)]].concat()).when(expire(1, 5000)).then_nothing();
}

#[test]
fn a_claim_without_a_start_is_requeued_after_the_start_timeout_even_if_its_runner_speaks() {
    let speaking = |second| ExpireLease { last_contact: Some(at(second)), ..expire(1, second) };
    given([launched(), claimed(1, 0)]).when(speaking(120)).then_nothing();
    given([launched(), claimed(1, 0)])
        .when(speaking(121))
        .then([expired(1, ExpiryCause::NotStarted, 121), requeued_lost(1, 121)]);
}

#[test]
fn a_start_that_cannot_be_fenced_may_take_ten_minutes() {
    let history = [launched(), claimed_unfenced(1, 0)];
    given(history.clone()).when(expire(1, 600)).then_nothing();
    given(history)
        .when(expire(1, 601))
        .then([expired(1, ExpiryCause::NotStarted, 601), failed_for("runner_lost", 1, 601)]);
}

#[test]
fn a_runner_known_to_be_another_process_now_is_lost_at_once() {
    given(running())
        .when(ExpireLease { rebooted: true, last_contact: Some(at(20)), ..expire(1, 20) })
        .then([expired(1, ExpiryCause::Rebooted, 20), requeued_lost(1, 20)]);
}

#[test]
fn lost_attempts_use_up_no_retries() {
    let failed_after_loss = [
        launched_with_retries(1),
        claimed(1, 0),
        expired(1, ExpiryCause::Silent, 200),
        requeued_lost(1, 200),
        claimed(2, 300),
        started(2, 300),
    ];
    given(failed_after_loss).when(complete(Some(lease(2)), failure(), 310)).then([requeued_failed(2, 310)]);
}

#[test]
fn a_job_that_kills_its_runners_ends_after_three_attempts_lost_in_a_row() {
    given(running_after_losses(1))
        .when(expire(2, 10_121))
        .then([expired(2, ExpiryCause::NotStarted, 10_121), requeued_lost(2, 10_121)]);
    given(running_after_losses(2))
        .when(expire(3, 10_121))
        .then([expired(3, ExpiryCause::NotStarted, 10_121), failed_for("runner_lost", 3, 10_121)]);
}

#[test]
fn a_job_that_kills_its_runners_ends_whatever_retries_it_has() {
    let mut history = running_after_losses(2);
    history[0] = launched_with_retries(10);
    given(history)
        .when(expire(3, 10_121))
        .then([expired(3, ExpiryCause::NotStarted, 10_121), failed_for("runner_lost", 3, 10_121)]);
}

#[test]
fn an_attempt_that_reports_breaks_the_row_of_lost_ones() {
    let mut history = running_after_losses(2);
    history[0] = launched_with_retries(1);
    history.extend([started(3, 10_001), requeued_failed(3, 10_002), claimed(4, 11_000)]);
    given(history)
        .when(expire(4, 11_121))
        .then([expired(4, ExpiryCause::NotStarted, 11_121), requeued_lost(4, 11_121)]);
}

#[test]
fn a_silent_holder_that_cannot_be_fenced_has_fifteen_minutes_and_then_ends_the_job() {
    given(running_unfenced(launch())).when(expire(1, 910)).then_nothing();
    given(running_unfenced(launch()))
        .when(expire(1, 911))
        .then([expired(1, ExpiryCause::Silent, 911), failed_for("runner_lost", 1, 911)]);
}

#[test]
fn a_holder_that_has_sent_its_lease_is_expired_as_one_that_fences() {
    for shown in [shown(1, 11), started(1, 10)] {
        given([running_unfenced(launch()), vec![shown]].concat())
            .when(expire(1, 131))
            .then([expired(1, ExpiryCause::Silent, 131), requeued_lost(1, 131)]);
    }
    given([launched(), claimed_unfenced(1, 0), shown(1, 10)])
        .when(expire(1, 121))
        .then([expired(1, ExpiryCause::NotStarted, 121), requeued_lost(1, 121)]);
}

#[test]
fn a_retry_after_the_loss_of_an_unfenced_holder_waits_and_needs_fencing() {
    let requeued = JobRequeued {
        needs_fencing: true,
        due_at: at(912),
        ..requeue_recorded(1, RequeueCause::RunnerLost, 911)
    };
    given(running_unfenced(JobLaunched { max_retries: 1, ..launch() }))
        .when(expire(1, 911))
        .then([expired(1, ExpiryCause::Silent, 911), JobEvent::Requeued(requeued)]);
}

#[test]
fn a_retry_after_the_loss_of_an_unfenced_holder_is_open_to_all_where_the_pipeline_says_so() {
    let requeued = JobRequeued { due_at: at(912), ..requeue_recorded(1, RequeueCause::RunnerLost, 911) };
    given(running_unfenced(JobLaunched { max_retries: 1, retry_on_runner_lost: true, ..launch() }))
        .when(expire(1, 911))
        .then([expired(1, ExpiryCause::Silent, 911), JobEvent::Requeued(requeued)]);
}

fn waiting_for_a_runner_that_fences() -> Vec<JobEvent> {
    let requeued = JobRequeued { needs_fencing: true, ..requeue_recorded(1, RequeueCause::RunnerLost, 911) };
    [
        running_unfenced(JobLaunched { max_retries: 2, ..launch() }),
        vec![expired(1, ExpiryCause::Silent, 911), JobEvent::Requeued(requeued)],
    ]
    .concat()
}

#[test]
fn the_loss_of_an_unfenced_holder_uses_up_a_retry() {
    let mut history = waiting_for_a_runner_that_fences();
    history[0] = launched_with_retries(1);
    history.extend([claimed(2, 1000), started(2, 1000)]);
    let failed = JobCompleted { result: Some(result(1)), ..end_recorded(2, JobStatus::Failed, 1010) };
    given(history).when(complete(Some(lease(2)), failure(), 1010)).then([JobEvent::Completed(failed)]);
}

#[test]
fn a_job_that_needs_fencing_needs_it_for_every_later_attempt() {
    let mut history = waiting_for_a_runner_that_fences();
    history.extend([claimed(2, 1000), started(2, 1000)]);
    let after_failure = JobRequeued {
        needs_fencing: true,
        result: Some(result(1)),
        due_at: at(1012),
        ..requeue_recorded(2, RequeueCause::Failed, 1010)
    };
    given(history.clone())
        .when(complete(Some(lease(2)), failure(), 1010))
        .then([JobEvent::Requeued(after_failure)]);
    let after_loss =
        JobRequeued { needs_fencing: true, ..requeue_recorded(2, RequeueCause::RunnerLost, 1121) };
    given(history)
        .when(expire(2, 1121))
        .then([expired(2, ExpiryCause::Silent, 1121), JobEvent::Requeued(after_loss)]);
}

#[test]
fn a_lost_holder_that_was_to_stop_ends_the_job_as_cancelled() {
    given([running(), vec![JobEvent::CancelRequested(cancel_requested(15))]].concat())
        .when(expire(1, 131))
        .then([expired(1, ExpiryCause::Silent, 131), JobEvent::Cancelled(cancelled(131))]);
}
