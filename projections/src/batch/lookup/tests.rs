use super::*;
use crate::checkpoint::{Checkpoint, State};
use crate::projection::AnyProjection;
use crate::row_cache::RowCache;
use crate::testing::{Scene, log_of};
use crate::{job_queue, jobs};

/// A sixteenth of what a batch may change.
const UNIT: usize = ROW_BYTES / 16;

/// A generation that has cached the rows of these jobs, with documents of that length.
fn generation(projection: &'static dyn AnyProjection, jobs: &[Scene], bytes: usize) -> Generation {
    let mut row_cache = RowCache::with_capacity(100);
    for job in jobs {
        row_cache.put(&job.job_id.to_string(), Some(&"x".repeat(bytes).into()), Position(1));
    }
    let checkpoint =
        Checkpoint { projection, generation: 1, version: 1, state: State::Live, position: Position(1) };
    Generation { row_cache, ..Generation::new(checkpoint) }
}

fn jobs(count: u128) -> Vec<Scene> {
    (1..=count).map(Scene::new).collect()
}

/// Each job is launched; then each one is claimed. Only the claims, which change the rows.
fn claims(jobs: &[Scene]) -> Vec<Arc<Envelope>> {
    let launches = jobs.iter().map(|job| job.launch(0));
    log_of(launches.chain(jobs.iter().map(|job| job.claim(1, 1)))).split_off(jobs.len())
}

#[test]
fn a_batch_ends_before_the_rows_that_do_not_fit() {
    let jobs = jobs(20);
    let claims = claims(&jobs);
    let mut generations = [generation(&jobs::Jobs, &jobs, UNIT)];
    assert_eq!(Lookups::new(&mut generations, &claims[..16]).events().len(), 16);
    let lookups = Lookups::new(&mut generations, &claims);
    assert_eq!(lookups.events().len(), 16);
    let rows = &lookups.of_generations[0].touched.rows;
    assert!(rows.len() == 16 && rows.iter().all(|row| row.document.is_some()));
}

#[test]
fn a_row_counts_once_however_often_it_changes() {
    let jobs = jobs(16);
    let mut events = claims(&jobs);
    events.extend_from_within(..);
    let lookups = Lookups::new(&mut [generation(&jobs::Jobs, &jobs, UNIT)], &events);
    assert_eq!(lookups.events().len(), 32);
}

#[test]
fn the_rows_of_all_read_models_count_together() {
    let jobs = jobs(8);
    let claims = claims(&jobs);
    let mut generations =
        [generation(&jobs::Jobs, &jobs, UNIT), generation(&job_queue::JobQueue, &jobs, 3 * UNIT)];
    // The queue skips two of them.
    generations[1].skipped = claims[..2].iter().map(|claim| claim.position).collect();
    assert_eq!(Lookups::new(&mut generations, &claims).events().len(), 5);
}

#[test]
fn one_event_is_folded_however_large_its_row_is() {
    let jobs = jobs(2);
    let claims = claims(&jobs);
    let mut generations = [generation(&jobs::Jobs, &jobs, ROW_BYTES + 1)];
    let lookups = Lookups::new(&mut generations, &claims);
    assert_eq!(lookups.events().len(), 1);
    assert!(lookups.of_generations[0].touched.rows[0].document.is_some());
    let none = Lookups::new(&mut generations, &[]);
    assert!(none.events().is_empty() && !none.is_incomplete());
}
