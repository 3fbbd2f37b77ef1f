//! Given events, then the counts.

use rivet_events::Event;
use rivet_events::job::JobStatus;

use super::{Activity, PipelineActivity};
use crate::testing::{Scene, row_after};

fn activity(events: impl IntoIterator<Item = Event>) -> Option<Activity> {
    row_after(&PipelineActivity, &Scene::new(1).pipeline_id, events)
}

fn none() -> Activity {
    Activity::none(Scene::new(1).pipeline_id)
}

#[test]
fn a_job_is_counted_where_it_is() {
    let s = Scene::new(1);
    let queued = Activity { queued: 1, ..none() };
    let running = Activity { running: 1, ..none() };
    assert_eq!(activity([s.launch(0)]), Some(queued.clone()));
    assert_eq!(activity([s.launch(0), s.claim(1, 1), s.start(1, 2)]), Some(running));
    assert_eq!(activity([s.launch(0), s.claim(1, 1), s.expire(1, 2), s.requeue(1, 2, 2)]), Some(queued));
    let failed = Activity { failed: 1, ..none() };
    assert_eq!(activity([s.launch(0), s.claim(1, 1), s.complete(1, JobStatus::Failed, 2)]), Some(failed));
}

#[test]
fn a_job_ended_in_the_queue_leaves_the_queue() {
    let s = Scene::new(1);
    assert_eq!(activity([s.launch(0), s.cancel(0, 1)]), Some(Activity { cancelled: 1, ..none() }));
    assert_eq!(activity([s.launch(0), s.time_out(0, 1)]), Some(Activity { timed_out: 1, ..none() }));
    assert_eq!(
        activity([s.launch(0), s.claim(1, 1), s.cancel(1, 2)]),
        Some(Activity { cancelled: 1, ..none() })
    );
}

#[test]
fn jobs_of_one_pipeline_add_up() {
    let (a, b) = (Scene::new(1), Scene::new(2));
    let both = [a.launch(0), b.launch(1), a.claim(1, 2), a.complete(1, JobStatus::Succeeded, 3)];
    assert_eq!(activity(both), Some(Activity { queued: 1, succeeded: 1, ..none() }));
}

#[test]
fn a_job_that_is_purged_is_counted_no_more() {
    let s = Scene::new(1);
    let story =
        [s.launch(0), s.claim(1, 1), s.complete(1, JobStatus::Failed, 2), s.purge(JobStatus::Failed, 9)];
    assert_eq!(activity(story), Some(none()));
}
