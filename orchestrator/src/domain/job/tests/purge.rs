//! Jobs of which nothing is kept.

use super::*;

fn ended() -> Vec<JobEvent> {
    let launch = JobLaunched { timeout_seconds: Some(60), ..launch() };
    vec![
        JobEvent::Launched(launch),
        claimed(1, 100),
        started(1, 110),
        JobEvent::TimedOut(timed_out(1, "late", 200)),
    ]
}

fn purge(ended_until: i64) -> JobCommand {
    JobCommand::Purge(PurgeJob { ended_until: at(ended_until), now: at(1_000) })
}

#[test]
fn a_job_that_ended_long_ago_is_purged_once() {
    given(ended()).when(purge(200)).then([purged(1_000)]);
    given([ended(), vec![purged(1_000)]].concat()).when(purge(200)).then_nothing();
}

#[test]
fn a_job_that_ended_later_or_not_at_all_is_kept() {
    given(ended()).when(purge(199)).then_nothing();
    given(ended()[..3].to_vec()).when(purge(200)).then_nothing();
    given([launched()]).when(purge(200)).then_nothing();
}

#[test]
fn an_end_by_a_clock_that_was_ahead_holds_up_no_purge() {
    let a_day_before = 200 - 24 * 60 * 60;
    let purge = |now: i64| JobCommand::Purge(PurgeJob { ended_until: at(now - 1_000), now: at(now) });
    given(ended()).when(purge(a_day_before)).then_nothing();
    given(ended()).when(purge(a_day_before - 1)).then([purged(a_day_before - 1)]);
}

#[test]
fn a_job_that_is_about_to_be_deleted_takes_nothing_more() {
    let lost = vec![launched(), claimed(1, 1), started(1, 2), expired(1, ExpiryCause::Silent, 200)];
    let over = [lost, vec![requeued_lost(1, 200), claimed(2, 201), succeeded(2, 203)]].concat();
    given(over.clone()).when(refuse(1, 300)).then([refused(1, 300)]);
    given([over, vec![purged(1_000)]].concat()).when(refuse(1, 1_100)).then_nothing();
}

#[test]
fn a_job_that_never_was_cannot_be_purged() {
    given([]).when(purge(200)).then_refused(JobError::NotFound);
}
