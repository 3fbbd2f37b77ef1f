//! Given events, then the job.

use rivet_events::Event;
use rivet_events::job::JobStatus;

use super::{CancelRequest, Job, JobPhase, Jobs};
use crate::testing::{Scene, at, row_after};

fn job(events: impl IntoIterator<Item = Event>) -> Job {
    row_after(&Jobs, &scene().job_id, events).unwrap()
}

fn scene() -> Scene {
    Scene::new(1)
}

#[test]
fn a_launched_job_waits_and_nobody_has_it() {
    let job = job([scene().launch(0)]);
    assert_eq!((job.status, job.phase, job.attempt), (JobStatus::Queued, JobPhase::Queued, 0));
    assert_eq!((job.requested_at, job.pipeline_version, job.timeout_seconds), (at(0), 3, Some(60)));
    assert_eq!((job.runner_id, job.claimed_at, job.lease_id), (None, None, None));
}

#[test]
fn a_claimed_job_runs_from_the_claim_on() {
    let s = scene();
    let job = job([s.launch(0), s.claim(1, 5)]);
    assert_eq!((job.status, job.phase, job.attempt), (JobStatus::Running, JobPhase::Claimed, 1));
    assert_eq!((job.claimed_at, job.started_at), (Some(at(5)), None));
    assert_eq!((job.runner_id, job.lease_id), (Some(s.runner_id.clone()), Some(s.lease(1))));
}

#[test]
fn a_start_tells_whether_the_holder_fences() {
    let s = scene();
    let job = job([s.launch(0), s.claim(1, 5), s.start(1, 6)]);
    assert_eq!(
        (job.phase, job.fencing, job.claimed_at, job.started_at),
        (JobPhase::Started, true, Some(at(5)), Some(at(6)))
    );
}

#[test]
fn a_requeued_job_belongs_to_nobody() {
    let s = scene();
    let job = job([s.launch(0), s.claim(1, 5), s.start(1, 6), s.expire(1, 90), s.requeue(1, 90, 90)]);
    assert_eq!((job.status, job.phase, job.attempt), (JobStatus::Queued, JobPhase::Queued, 1));
    assert_eq!((job.runner_id, job.lease_id, job.claimed_at, job.started_at), (None, None, None, None));
    assert_eq!((job.requested_at, job.queued_at), (at(0), at(90)));
}

#[test]
fn a_requeued_job_that_is_due_later_backs_off() {
    let s = scene();
    let job = job([s.launch(0), s.claim(1, 5), s.requeue(1, 9, 11)]);
    assert_eq!((job.phase, job.due_at), (JobPhase::Backoff, Some(at(11))));
}

#[test]
fn a_wish_to_cancel_keeps_its_first_time_and_grows_to_force() {
    let s = scene();
    let job = job([
        s.launch(0),
        s.claim(1, 5),
        s.ask_to_cancel(false, 7),
        s.ask_to_cancel(true, 9),
        s.start(1, 10),
    ]);
    assert_eq!((job.status, job.phase), (JobStatus::Running, JobPhase::Cancelling));
    assert_eq!(job.cancel, Some(CancelRequest { requested_at: at(7), force: true }));
}

#[test]
fn an_ended_job_keeps_its_last_holder_and_no_lease() {
    let s = scene();
    for (end, status) in [
        (s.complete(1, JobStatus::Failed, 20), JobStatus::Failed),
        (s.cancel(1, 20), JobStatus::Cancelled),
        (s.time_out(1, 20), JobStatus::TimedOut),
    ] {
        let job = job([s.launch(0), s.claim(1, 5), s.ask_to_cancel(false, 7), end]);
        assert_eq!((job.status, job.phase, job.completed_at), (status, JobPhase::Ended, Some(at(20))));
        assert_eq!((job.runner_id, job.claimed_at), (Some(s.runner_id.clone()), Some(at(5))));
        assert_eq!((job.lease_id, job.cancel), (None, None));
    }
}

#[test]
fn a_job_cancelled_in_the_queue_never_had_a_holder() {
    let s = scene();
    let job = job([s.launch(0), s.cancel(0, 3)]);
    assert_eq!(
        (job.status, job.runner_id, job.reason),
        (JobStatus::Cancelled, None, Some("asked".to_owned()))
    );
}

#[test]
fn nothing_is_left_of_a_job_that_is_purged() {
    let s = scene();
    let story = [
        s.launch(0),
        s.claim(1, 5),
        s.complete(1, JobStatus::Succeeded, 6),
        s.purge(JobStatus::Succeeded, 9),
    ];
    assert_eq!(row_after(&Jobs, &s.job_id, story), None);
}
