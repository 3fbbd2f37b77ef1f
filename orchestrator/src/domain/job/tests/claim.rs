//! Who wins a waiting job.

use rivet_events::job::Concurrency;
use rivet_events::pipeline::ConcurrencyPolicy;
use rivet_events::runner::Capabilities;

use super::*;

fn demanding(demands: &[&str]) -> JobEvent {
    JobEvent::Launched(JobLaunched { demands: demands.iter().map(ToString::to_string).collect(), ..launch() })
}

fn able(capabilities: &[&str]) -> ClaimJob {
    let capabilities = Capabilities(Some(capabilities.iter().map(ToString::to_string).collect()));
    ClaimJob { capabilities, ..claim(1, 1) }
}

fn keyed(key: &str) -> ClaimJob {
    ClaimJob { request_key: Some(key.to_owned()), ..claim(1, 1) }
}

fn claimed_with_key(key: &str) -> JobEvent {
    JobEvent::Claimed(JobClaimed { request_key: Some(key.to_owned()), ..claim_recorded(1, 1) })
}

#[test]
fn a_claim_of_a_queued_job_makes_the_first_attempt_under_its_lease() {
    given([launched()]).when(claim(1, 1)).then([claimed(1, 1)]);
}

#[test]
fn a_claim_records_whether_its_runner_fences_and_what_it_asked_with() {
    given([launched()]).when(ClaimJob { fencing: false, ..claim(1, 1) }).then([claimed_unfenced(1, 1)]);
    given([launched()]).when(keyed("k")).then([claimed_with_key("k")]);
}

#[test]
fn a_claimed_job_cannot_be_claimed_again() {
    given([launched(), claimed(1, 1)]).when(claim(2, 1)).then_refused(JobError::AlreadyClaimed);
    given([launched(), claimed(1, 1), started(1, 2)])
        .when(claim(2, 3))
        .then_refused(JobError::AlreadyClaimed);
}

#[test]
fn an_ended_job_cannot_be_claimed() {
    given([launched(), claimed(1, 1), started(1, 2), succeeded(1, 3)])
        .when(claim(2, 4))
        .then_refused(JobError::ClaimedTooLate(JobStatus::Succeeded));
}

/// Claimed by a runner that had to wait from `ready` on.
fn claimed_ready(attempt: u32, ready: i64, second: i64) -> JobEvent {
    JobEvent::Claimed(JobClaimed { ready_at: Some(at(ready)), ..claim_recorded(attempt, second) })
}

#[test]
fn a_requeued_job_is_claimed_as_the_next_attempt() {
    given([launched(), claimed(1, 1), expired(1, ExpiryCause::Silent, 200), requeued_lost(1, 200)])
        .when(claim(2, 200))
        .then([claimed_ready(2, 200, 200)]);
}

#[test]
fn a_claim_replayed_with_its_key_by_the_same_runner_changes_nothing() {
    given([launched(), claimed_with_key("k")]).when(keyed("k")).then_nothing();
}

#[test]
fn a_claim_replayed_with_its_key_after_its_attempt_makes_no_further_one() {
    let history = [launched_with_retries(1), claimed_with_key("k"), started(1, 2), requeued_failed(1, 10)];
    given(history.clone()).when(ClaimJob { now: at(10), ..keyed("k") }).then_refused(JobError::LeaseLost);
    given(history.clone()).when(ClaimJob { now: at(11), ..keyed("k") }).then_refused(JobError::LeaseLost);
    let again = [&history[..], &[claimed(2, 11), requeued_lost(2, 200)]].concat();
    given(again).when(ClaimJob { now: at(200), ..keyed("k") }).then_refused(JobError::LeaseLost);
    for other in [ClaimJob { runner_id: runner(2), ..keyed("k") }, keyed("l"), claim(1, 1)] {
        let recorded = spec::handle(&mut after(&history), ClaimJob { now: at(11), ..other }.into());
        assert!(matches!(recorded.as_deref(), Ok([JobEvent::Claimed(_)])), "{recorded:?}");
    }
}

#[test]
fn a_claim_is_no_replay_with_another_key_without_one_or_by_another_runner() {
    let history = [launched(), claimed_with_key("k")];
    given(history.clone()).when(keyed("l")).then_refused(JobError::AlreadyClaimed);
    given(history.clone()).when(claim(1, 1)).then_refused(JobError::AlreadyClaimed);
    given(history)
        .when(ClaimJob { runner_id: runner(2), ..keyed("k") })
        .then_refused(JobError::AlreadyClaimed);
    given([launched(), claimed(1, 1)]).when(claim(1, 1)).then_refused(JobError::AlreadyClaimed);
}

#[test]
fn a_runner_that_lacks_a_demand_is_refused_and_told_which() {
    given([demanding(&["docker", "gpu=a100", "linux"])]).when(able(&["linux", "gpu=t4"])).then_refused(
        JobError::CapabilityMissing { missing: vec!["docker".to_owned(), "gpu=a100".to_owned()] },
    );
}

#[test]
fn a_runner_whose_set_covers_the_demands_may_claim() {
    given([demanding(&["docker"])]).when(able(&["linux", "docker"])).then([claimed(1, 1)]);
}

#[test]
fn a_runner_with_an_empty_list_may_claim_only_what_demands_nothing() {
    given([demanding(&["docker"])])
        .when(able(&[]))
        .then_refused(JobError::CapabilityMissing { missing: vec!["docker".to_owned()] });
    given([launched()]).when(able(&[])).then([claimed(1, 1)]);
}

#[test]
fn a_runner_without_a_list_is_unrestricted() {
    given([demanding(&["docker"])]).when(claim(1, 1)).then([claimed(1, 1)]);
}

#[test]
fn a_job_of_a_group_is_claimed_together_with_a_place() {
    let concurrency = Concurrency { group: "g".to_owned(), limit: 1, policy: ConcurrencyPolicy::Queue };
    let grouped = JobEvent::Launched(JobLaunched { concurrency: Some(concurrency), ..launch() });
    given([grouped.clone()]).when(claim(1, 1)).then_refused(JobError::PlaceMissing);
    given([grouped.clone()]).when(ClaimJob { has_place: true, ..claim(1, 1) }).then([claimed(1, 1)]);
    // A repeated claim takes no place.
    given([grouped, claimed_with_key("k")]).when(keyed("k")).then([]);
}

#[test]
fn a_retry_cannot_be_claimed_before_it_is_due() {
    let history = [launched_with_retries(1), claimed(1, 1), started(1, 2), requeued_failed(1, 10)];
    given(history.clone()).when(claim(2, 10)).then_refused(JobError::NotDue(at(11)));
    given(history).when(claim(2, 11)).then([claimed_ready(2, 11, 11)]);
}

#[test]
fn a_retry_does_not_wait_for_a_clock_that_was_wrong() {
    let history = [launched_with_retries(1), claimed(1, 1), started(1, 2), requeued_failed(1, 1000)];
    given(history.clone()).when(claim(2, 940)).then_refused(JobError::NotDue(at(1001)));
    given(history).when(claim(2, 939)).then([claimed_ready(2, 1001, 939)]);
}

#[test]
fn a_job_without_a_backoff_is_due_also_by_a_clock_that_is_behind() {
    given([JobEvent::Launched(JobLaunched { requested_at: at(10), ..launch() })])
        .when(claim(1, 1))
        .then([claimed_ready(1, 10, 1)]);
    given([launched(), claimed(1, 1), expired(1, ExpiryCause::Silent, 200), requeued_lost(1, 200)])
        .when(claim(2, 190))
        .then([claimed_ready(2, 200, 190)]);
}

#[test]
fn after_the_loss_of_a_holder_that_cannot_be_fenced_only_a_runner_that_fences_may_claim() {
    let requeued = JobRequeued { needs_fencing: true, ..requeue_recorded(1, RequeueCause::RunnerLost, 1000) };
    let history = [
        launched_with_retries(1),
        claimed_unfenced(1, 1),
        expired(1, ExpiryCause::Silent, 1000),
        JobEvent::Requeued(requeued),
    ];
    given(history.clone())
        .when(ClaimJob { fencing: false, ..claim(2, 1001) })
        .then_refused(JobError::NeedsFencing);
    given(history).when(claim(2, 1001)).then([claimed_ready(2, 1000, 1001)]);
}
