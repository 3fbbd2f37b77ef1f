//! Deadlines of the server: in the queue, and of a run.

use super::*;

const DAY: i64 = 24 * 60 * 60;
const HOUR: i64 = 60 * 60;

fn running(launch: JobLaunched) -> Vec<JobEvent> {
    vec![JobEvent::Launched(launch), claimed(1, 100), started(1, 110)]
}

#[test]
fn a_job_waits_a_day_for_a_runner_and_then_times_out() {
    let ended = JobTimedOut { runner_id: None, ..timed_out(0, "no runner took it within 86400 s", DAY + 1) };
    given([launched()]).when(time_out(DAY)).then_nothing();
    given([launched()]).when(time_out(DAY + 1)).then([JobEvent::TimedOut(ended)]);
}

#[test]
fn a_requeued_job_waits_a_day_from_then_on() {
    let history = [launched(), claimed(1, 1), expired(1, ExpiryCause::Silent, 200), requeued_lost(1, 200)];
    let reason = "no runner took it within 86400 s";
    let ended = JobTimedOut { runner_id: None, ..timed_out(1, reason, DAY + 201) };
    given(history.clone()).when(time_out(DAY + 200)).then_nothing();
    given(history).when(time_out(DAY + 201)).then([JobEvent::TimedOut(ended)]);
}

#[test]
fn a_run_may_take_an_hour_from_its_claim() {
    let ended = timed_out(1, "it ran for longer than 3600 s", 100 + HOUR + 1);
    given(running(launch())).when(time_out(100 + HOUR)).then_nothing();
    given(running(launch())).when(time_out(100 + HOUR + 1)).then([JobEvent::TimedOut(ended)]);
}

#[test]
fn a_run_may_take_what_its_pipeline_says() {
    let launch = JobLaunched { timeout_seconds: Some(60), ..launch() };
    given(running(launch.clone())).when(time_out(160)).then_nothing();
    given(running(launch)).when(time_out(161)).then([JobEvent::TimedOut(timed_out(
        1,
        "it ran for longer than 60 s",
        161,
    ))]);

    let longer = JobLaunched { timeout_seconds: Some(7200), ..self::launch() };
    given(running(longer)).when(time_out(100 + HOUR + 1)).then_nothing();
}

#[test]
fn a_run_that_took_too_long_is_retried_while_retries_are_left() {
    let launch = JobLaunched { timeout_seconds: Some(60), max_retries: 1, ..launch() };
    let requeued = JobRequeued { due_at: at(162), ..requeue_recorded(1, RequeueCause::RunTimeout, 161) };
    let history = running(launch);
    given(history.clone()).when(time_out(161)).then([JobEvent::Requeued(requeued.clone())]);

    let again = [history, vec![JobEvent::Requeued(requeued), claimed(2, 200)]].concat();
    given(again).when(time_out(261)).then([JobEvent::TimedOut(timed_out(
        2,
        "it ran for longer than 60 s",
        261,
    ))]);
}

#[test]
fn a_holder_whose_run_took_too_long_has_lost_its_lease() {
    let launch = JobLaunched { timeout_seconds: Some(60), max_retries: 1, ..launch() };
    let requeued = JobRequeued { due_at: at(162), ..requeue_recorded(1, RequeueCause::RunTimeout, 161) };
    let waiting = [running(launch), vec![JobEvent::Requeued(requeued)]].concat();
    let running_again = [waiting.clone(), vec![claimed(2, 200)]].concat();
    for history in [waiting, running_again] {
        given(history.clone())
            .when(complete(Some(lease(1)), success(), 210))
            .then_refused(JobError::LeaseLost);
        given(history).when(refuse(1, 210)).then([refused(1, 210)]);
    }
}

#[test]
fn a_run_that_was_to_stop_is_not_retried_when_it_takes_too_long() {
    let launch = JobLaunched { timeout_seconds: Some(60), max_retries: 1, ..launch() };
    let history = [running(launch), vec![JobEvent::CancelRequested(cancel_requested(120))]].concat();
    given(history).when(time_out(161)).then([JobEvent::TimedOut(timed_out(
        1,
        "it ran for longer than 60 s",
        161,
    ))]);
}

#[test]
fn an_ended_job_has_no_deadline() {
    given([running(launch()), vec![succeeded(1, 120)]].concat()).when(time_out(10 * DAY)).then_nothing();
}

#[test]
fn nothing_but_a_refused_report_is_recorded_of_a_job_that_has_ended() {
    let histories = [
        [running(launch()), vec![succeeded(1, 120)]].concat(),
        [running(launch()), vec![failed_for("runner_lost", 1, 120)]].concat(),
        [running(launch()), vec![JobEvent::Cancelled(cancelled(120))]].concat(),
        [running(launch()), vec![JobEvent::TimedOut(timed_out(1, "it ran too long", 120))]].concat(),
    ];
    for history in histories {
        for command in every_command(10 * DAY) {
            let recorded = spec::handle(&mut after(&history), command).unwrap_or_default();
            assert_eq!(recorded, []);
        }
    }
}
