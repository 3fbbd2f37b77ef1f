//! Launching, and launching again with an idempotency key.

use super::*;

fn launch_with_digest(digest: &str) -> JobLaunched {
    JobLaunched { request_digest: Some(digest.to_owned()), ..launch() }
}

fn launching(launch: JobLaunched) -> LaunchJob {
    LaunchJob { launch: Box::new(launch) }
}

#[test]
fn a_launch_is_recorded_as_it_was_asked() {
    given([]).when(launching(launch())).then([launched()]);
}

#[test]
fn a_launch_repeated_with_its_key_is_the_same_job() {
    let first = launch_with_digest("same");
    let later = JobLaunched { requested_at: at(5), ..first.clone() };
    given([JobEvent::Launched(first)]).when(launching(later)).then_nothing();
}

#[test]
fn a_launch_is_the_same_job_also_while_it_runs_and_after_its_end() {
    let first = launch_with_digest("same");
    let history = [JobEvent::Launched(first.clone()), claimed(1, 1), started(1, 2), succeeded(1, 3)];
    given(&history[..2]).when(launching(first.clone())).then_nothing();
    given(history).when(launching(first)).then_nothing();
}

#[test]
fn a_key_used_for_another_launch_is_refused() {
    given([JobEvent::Launched(launch_with_digest("one"))])
        .when(launching(launch_with_digest("another")))
        .then_refused(JobError::KeyReused);
}

#[test]
fn two_launches_without_a_digest_are_never_the_same() {
    given([launched()]).when(launching(launch())).then_refused(JobError::KeyReused);
}

#[test]
fn nothing_but_a_launch_can_be_asked_of_a_job_that_never_was() {
    for command in every_command(1).into_iter().skip(1) {
        given([]).when(command).then_refused(JobError::NotFound);
    }
}
