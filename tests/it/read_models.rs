//! Answers of queries, on both databases; what happens with events that cannot be read.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use rivet_events::id::{JobId, PipelineId};
use rivet_events::job::{Concurrency, JobEvent, JobStatus};
use rivet_events::job_log::{JobLogAppended, JobLogEvent, LogEntries, LogEntry, LogLevel};
use rivet_events::pipeline::ConcurrencyPolicy;
use rivet_events::runner::Capabilities;
use rivet_events::{Event, Position, StreamId};
use rivet_projections::job_queue::{Covered, Occupancy, QueuedJob};
use rivet_projections::jobs::{self, Job, JobFilter};
use rivet_projections::pipelines::PipelineFilter;
use rivet_projections::runners::{RunnerFilter, RunnerStatus};
use rivet_projections::{
    AtLeast, Cursor, Period, ReadModels, job_logs, job_queue, pipeline_activity, pipelines, runners,
};
use rivet_tests::history::{Stream, append, streams, unreadable};
use rivet_tests::on_both_stores;
use rivet_tests::process::Process;
use rivet_tests::store::StoreKind;

on_both_stores! {
    jobs_are_listed_newest_first_whatever_the_page_and_the_filter,
    a_row_is_found_as_it_was_told,
    runners_are_listed_with_what_they_hold,
    a_runner_is_offered_what_it_may_claim_in_claim_order,
    the_newest_job_that_cancels_older_ones_is_found_in_each_group,
    a_log_is_read_in_pages_of_bounded_size,
    an_event_that_cannot_be_read_parks_its_stream_and_stops_nothing,
}

fn later() -> DateTime<Utc> {
    DateTime::from_timestamp(2_000_000_000, 0).unwrap()
}

async fn all_jobs(read_models: &ReadModels, filter: &JobFilter, page_size: usize) -> Vec<Job> {
    let (mut all, mut after): (Vec<Job>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = jobs::list(read_models, filter, after.as_ref(), page_size).await.unwrap();
        assert!(page.items.len() <= page_size);
        all.extend(page.items);
        match page.next {
            // The cursor is parsed, as when a client sends it back.
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => return all,
        }
    }
}

type Condition<'a> = Box<dyn Fn(&Job) -> bool + 'a>;

async fn jobs_are_listed_newest_first_whatever_the_page_and_the_filter(kind: StoreKind) {
    let (_store, process) = Process::with_jobs(kind).await;
    let all = all_jobs(&process.read_models, &JobFilter::default(), 1000).await;
    assert_eq!(all.len(), 100);
    assert!(all.is_sorted_by_key(|job| std::cmp::Reverse((job.requested_at, job.id))));
    assert_eq!(all_jobs(&process.read_models, &JobFilter::default(), 7).await, all);

    let some = &all[50];
    let is_over = |job: &Job| matches!(job.status, JobStatus::Cancelled | JobStatus::TimedOut);
    let both = vec![JobStatus::Cancelled, JobStatus::TimedOut, JobStatus::Cancelled];
    let runner_id = all.iter().find_map(|job| job.runner_id.clone());
    let launched = |since, until| JobFilter { launched: Period { since, until }, ..JobFilter::default() };
    let cases: [(JobFilter, Condition<'_>); 5] = [
        (JobFilter { status: both, ..JobFilter::default() }, Box::new(is_over)),
        (
            JobFilter { pipeline_id: Some(some.pipeline_id), ..JobFilter::default() },
            Box::new(|job| job.pipeline_id == some.pipeline_id),
        ),
        (
            JobFilter { runner_id: runner_id.clone(), ..JobFilter::default() },
            Box::new(|job| job.runner_id == runner_id),
        ),
        (launched(Some(some.requested_at), None), Box::new(|job| job.requested_at >= some.requested_at)),
        (launched(None, Some(some.requested_at)), Box::new(|job| job.requested_at < some.requested_at)),
    ];
    for (filter, expected) in cases {
        let expected: Vec<Job> = all.iter().filter(|job| expected(job)).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{filter:?} tells them apart");
        assert_eq!(all_jobs(&process.read_models, &filter, 3).await, expected, "{filter:?}");
    }
}

async fn a_row_is_found_as_it_was_told(kind: StoreKind) {
    let (_store, process) = Process::with_jobs(kind).await;
    let read_models = &process.read_models;
    let all = all_jobs(read_models, &JobFilter::default(), 1000).await;
    let job = all.iter().find(|job| job.result.is_some()).unwrap();
    assert_eq!(jobs::find(read_models, job.id).await.unwrap().as_ref(), Some(job));
    assert_eq!(job.parameters["text"], "a\0b \u{1a}0 \u{1F680}");
    assert_eq!(jobs::find(read_models, JobId::generate()).await.unwrap(), None);

    let running = jobs::with_status(read_models, JobStatus::Running, None, 1000).await.unwrap().items;
    assert!(running.is_sorted_by_key(|job| (job.requested_at, job.id)));
    let first = jobs::with_status(read_models, JobStatus::Running, None, 1).await.unwrap();
    let second = jobs::with_status(read_models, JobStatus::Running, first.next.as_ref(), 1).await.unwrap();
    assert_eq!([first.items, second.items].concat(), running[..2]);

    let pipelines = pipelines::list(read_models, &PipelineFilter::default(), None, 1000).await.unwrap().items;
    assert!(pipelines.iter().all(|pipeline| pipeline.deleted_at.is_none()) && pipelines.len() < 8);
    let deleted: HashSet<PipelineId> = all.iter().map(|job| job.pipeline_id).collect();
    let shown: HashSet<PipelineId> = pipelines.iter().map(|pipeline| pipeline.id).collect();
    for id in deleted.difference(&shown) {
        assert!(pipelines::find(read_models, *id).await.unwrap().unwrap().deleted_at.is_some());
    }

    let waiting = all.iter().filter(|job| job.status == JobStatus::Queued).map(|job| job.pipeline_id);
    let orphaned: HashSet<PipelineId> = waiting.filter(|id| !shown.contains(id)).collect();
    let found = pipeline_activity::deleted_with_waiting(read_models).await.unwrap();
    assert!(!found.is_empty());
    assert_eq!(HashSet::from_iter(found), orphaned);

    for activity in pipeline_activity::list(read_models, 100).await.unwrap() {
        let count = |status| {
            let is_one = |job: &&Job| job.pipeline_id == activity.pipeline_id && job.status == status;
            all.iter().filter(is_one).count() as u64
        };
        assert_eq!(
            (activity.queued, activity.running, activity.succeeded),
            (count(JobStatus::Queued), count(JobStatus::Running), count(JobStatus::Succeeded))
        );
    }
}

async fn runners_are_listed_with_what_they_hold(kind: StoreKind) {
    let (_store, process) = Process::with_jobs(kind).await;
    let read_models = &process.read_models;
    let all = runners::list(read_models, &RunnerFilter::default(), None, 100).await.unwrap().items;
    assert!(all.is_sorted_by_key(|runner| std::cmp::Reverse(runner.registered_at)) && all.len() > 4);
    let first = runners::list(read_models, &RunnerFilter::default(), None, 2).await.unwrap();
    let second = runners::list(read_models, &RunnerFilter::default(), first.next.as_ref(), 2).await.unwrap();
    assert_eq!([first.items, second.items].concat(), all[..4]);
    let running = jobs::with_status(read_models, JobStatus::Running, None, 1000).await.unwrap().items;
    for runner in &all {
        assert_eq!(runners::find(read_models, &runner.id).await.unwrap().as_ref(), Some(runner));
        let held: HashSet<JobId> = runner.held.iter().map(|held| held.job_id).collect();
        let running: HashSet<JobId> = running
            .iter()
            .filter(|job| job.runner_id.as_ref() == Some(&runner.id))
            .map(|job| job.id)
            .collect();
        assert_eq!(held, running);
    }
    let busy = RunnerFilter { status: vec![RunnerStatus::Busy], ..RunnerFilter::default() };
    let busy = runners::list(read_models, &busy, None, 100).await.unwrap().items;
    assert_eq!(busy.len(), all.iter().filter(|runner| !runner.held.is_empty()).count());
}

async fn a_runner_is_offered_what_it_may_claim_in_claim_order(kind: StoreKind) {
    let (_store, process) = Process::with_jobs(kind).await;
    let read_models = &process.read_models;
    let none_reserved = Occupancy::default();
    let all =
        job_queue::offered(read_models, &Covered::Everything, &none_reserved, later(), 1000).await.unwrap();
    let queued = pipeline_activity::totals(read_models).await.unwrap().queued;
    assert!(all.len() > 5 && all.len() as u64 <= queued);
    let oldest = job_queue::oldest_queued_at(read_models).await.unwrap();
    assert_eq!(oldest, all.iter().filter_map(|job| job.queued_at).min());
    let ahead = job_queue::ahead_of(read_models, &all[3]).await.unwrap();
    assert!(ahead >= 3);

    let docker = || Some(vec!["docker".to_owned(), "unasked".to_owned()]);
    for (names, fencing) in [(None, false), (docker(), true), (docker(), false), (Some(vec![]), true)] {
        let covered = all.iter().filter(|job| fencing || !job.needs_fencing).filter(|job| {
            names.as_ref().is_none_or(|able| job.demands.iter().all(|demand| able.contains(demand)))
        });
        let expected = with_places(read_models, covered).await;
        let capabilities = Capabilities(names);
        for limit in [1000, expected.len() / 2, 2] {
            let offered =
                job_queue::candidates(read_models, &capabilities, fencing, later(), limit).await.unwrap();
            assert_eq!(offered, expected[..limit.min(expected.len())]);
        }
    }
    let retry = all.iter().find(|job| job.queued_at.is_some_and(|queued_at| job.due_at > queued_at)).unwrap();
    let early = retry.due_at - chrono::TimeDelta::milliseconds(1);
    let offered =
        job_queue::candidates(read_models, &Capabilities::default(), true, early, 1000).await.unwrap();
    // On a clock that is behind, a job that was due when it was queued is still due; a retry waits for its time, unless
    // it was queued by a clock that was wrong.
    let due: Vec<_> = all.iter().filter(|job| job.is_due(early)).collect();
    assert!(due.len() < all.len() && due.iter().any(|job| job.due_at > early));
    assert_eq!(offered, with_places(read_models, due).await);
    assert_eq!(job_queue::demands(read_models).await.unwrap().count(), 3);
    assert_not_offered_if_reserved(read_models, &all).await;

    let of_pipeline = job_queue::of_pipeline(read_models, all[0].pipeline_id, None, 1000).await.unwrap();
    assert!(of_pipeline.iter().any(|job| job.job_id == all[0].job_id));
    let waited = job_queue::queued_before(read_models, later(), 1000).await.unwrap();
    assert_eq!(waited.len() as u64, queued);
    for job in &all {
        if let Some(concurrency) = &job.concurrency {
            let running = job_queue::running_of_group(read_models, &concurrency.group).await.unwrap();
            assert!(running < u64::from(concurrency.limit), "a full group is not offered");
            let held = job_queue::held_of_group(read_models, &concurrency.group, 100).await.unwrap();
            assert_eq!(held.len() as u64, running);
            let group = older(read_models, &concurrency.group, HEAD, None).await;
            let place = group.iter().position(|member| member.job_id == job.job_id).expect("it waits");
            let rest = older(read_models, &concurrency.group, HEAD, Some(job)).await;
            assert_eq!(rest, group[place + 1..]);
        }
    }
}

/// Many places are reserved, among them those of the groups of these jobs, and jobs have many sets of demands.
async fn assert_not_offered_if_reserved(read_models: &ReadModels, jobs: &[QueuedJob]) {
    let of_jobs = jobs.iter().filter_map(|job| job.concurrency.clone());
    let policy = ConcurrencyPolicy::Queue;
    let others = (0..400).map(|n| Concurrency { group: format!("other {n}"), limit: 1, policy });
    let reserved: Vec<Concurrency> =
        of_jobs.flat_map(|job| vec![job.clone(); job.limit as usize]).chain(others).collect();
    let able = Capabilities(Some(jobs.iter().flat_map(|job| job.demands.clone()).collect()));
    let Covered::Sets(mut sets) = job_queue::demands(read_models).await.unwrap().covered_by(&able) else {
        panic!("the runner is restricted");
    };
    sets.extend((0..200).map(|n| format!("demand {n}")));
    let ungrouped: Vec<_> = jobs.iter().filter(|job| job.concurrency.is_none()).cloned().collect();
    assert!(ungrouped.len() < jobs.len());
    for covered in [Covered::Sets(sets), Covered::Everything] {
        let reserved = reserved.iter().collect();
        let offered = job_queue::offered(read_models, &covered, &reserved, later(), 1000).await.unwrap();
        assert_eq!(offered, ungrouped);
    }
}

/// Of these jobs, in claim order, those that can all be claimed: of a concurrency group as many as it has places.
async fn with_places<'a>(
    read_models: &ReadModels,
    jobs: impl IntoIterator<Item = &'a QueuedJob>,
) -> Vec<QueuedJob> {
    let (mut taken, mut claimable) = (HashMap::new(), Vec::new());
    for job in jobs {
        if let Some(Concurrency { group, limit, .. }) = &job.concurrency {
            let running = job_queue::running_of_group(read_models, group).await.unwrap();
            let taken = taken.entry(group).or_insert(running);
            if *taken >= u64::from(*limit) {
                continue;
            }
            *taken += 1;
        }
        claimable.push(job.clone());
    }
    claimable
}

/// A position that no log here has reached.
const HEAD: Position = Position(1_000_000);

async fn older(
    read_models: &ReadModels,
    group: &str,
    before: Position,
    after: Option<&QueuedJob>,
) -> Vec<QueuedJob> {
    job_queue::older_of_group(read_models, group, before, after, 100).await.unwrap()
}

async fn the_newest_job_that_cancels_older_ones_is_found_in_each_group(kind: StoreKind) {
    let (_store, process) = Process::of(kind).await;
    let running = process.start();
    let mut streams = streams(11, 100);
    for (n, event) in streams.iter_mut().flat_map(|(_, events)| events).enumerate() {
        if let Event::Job(JobEvent::Launched(launched)) = event
            && let Some(concurrency) = launched.concurrency.as_mut().filter(|_| n % 2 == 0)
        {
            concurrency.policy = ConcurrencyPolicy::CancelOlder;
        }
    }
    process.append_all(&streams, 1).await;
    process.caught_up().await;
    running.stop().await;

    let read_models = &process.read_models;
    let mut expected = Vec::new();
    for group in (0..7).map(|n| format!("group {n}")) {
        let members = older(read_models, &group, HEAD, None).await;
        let cancels = |job: &&QueuedJob| {
            let policy = job.concurrency.as_ref().map(|concurrency| concurrency.policy);
            policy == Some(ConcurrencyPolicy::CancelOlder)
        };
        let newest = members.iter().filter(cancels).max_by_key(|job| job.launched_at);
        if let Some(newest) = newest {
            let is_older = |job: &&QueuedJob| job.launched_at < newest.launched_at;
            let cancelled: Vec<QueuedJob> = members.iter().filter(is_older).cloned().collect();
            assert_eq!(older(read_models, &group, newest.launched_at, None).await, cancelled);
        }
        expected.extend(newest.cloned());
    }
    assert!(!expected.is_empty());
    assert_eq!(job_queue::cancelling(read_models).await.unwrap(), expected);
}

async fn a_log_is_read_in_pages_of_bounded_size(kind: StoreKind) {
    let (_store, process) = Process::of(kind).await;
    let running = process.start();
    let job_id = JobId::generate();
    let entry = |n: u64| LogEntry {
        timestamp: later(),
        level: LogLevel::Info,
        message: if n.is_multiple_of(5) { "x".repeat(1_500_000) } else { format!("entry {n}") },
    };
    let batches = (0..8_u64).map(|batch| {
        Event::JobLog(JobLogEvent::Appended(JobLogAppended {
            job_id,
            pipeline_id: PipelineId::generate(),
            attempt: 1,
            offset: batch * 3,
            first_index: batch * 3 + 1,
            entries: LogEntries::new(&(batch * 3 + 1..=batch * 3 + 3).map(entry).collect::<Vec<_>>()),
            digest: String::new(),
            appended_at: later(),
        }))
    });
    let written: Stream = (StreamId::job_log(job_id), batches.collect());
    append(&*process.log, &written, 1).await;
    process.append_all(&streams(12, 20), 1).await;
    process.caught_up().await;
    for limit in [1, 2, 4, 1000] {
        let (mut seen, mut after) = (Vec::new(), 0);
        while let Some(next) = {
            let (page, _) =
                job_logs::page(&process.read_models, job_id, after, limit, AtLeast::default()).await.unwrap();
            let bytes: usize = page.entries.iter().map(|numbered| numbered.entry.message.len()).sum();
            assert!(page.entries.len() <= limit && bytes < 5_000_000);
            seen.extend(page.entries);
            page.next
        } {
            after = next;
        }
        assert_eq!(
            seen.iter().map(|numbered| numbered.index).collect::<Vec<_>>(),
            (1..=24).collect::<Vec<_>>()
        );
        assert!(seen.iter().all(|numbered| numbered.entry == entry(numbered.index)));
    }
    let (unknown, _) =
        job_logs::page(&process.read_models, JobId::generate(), 0, 10, AtLeast::default()).await.unwrap();
    assert_eq!((unknown.entries, unknown.next), (vec![], None));
    running.stop().await;
}

async fn an_event_that_cannot_be_read_parks_its_stream_and_stops_nothing(kind: StoreKind) {
    let (_store, process) = Process::of(kind).await;
    let running = process.start();
    let mut streams = streams(13, 10);
    let (_, events) = streams.iter_mut().find(|(stream, events)| is_job(stream) && events.len() > 1).unwrap();
    events.insert(1, unreadable("job.teleported"));
    process.append_all(&streams, 1).await;
    process.caught_up().await;
    for status in process.read_models.status(later()).await.unwrap() {
        let reads_jobs = !["pipelines", "job_logs", "webhooks"].contains(&status.name);
        assert_eq!((status.parked, status.lag_events), (u64::from(reads_jobs), 0), "{status:?}");
    }
    let listed = all_jobs(&process.read_models, &JobFilter::default(), 100).await;
    assert_eq!(listed.len(), 10);
    let report = process.read_models.verify(|_| {}).await.unwrap();
    assert_eq!((report.unreadable_events.len(), report.differences), (1, vec![]));
    assert_eq!((report.log_faults, report.parking_faults), (vec![], vec![]));
    running.stop().await;
}

fn is_job(stream: &StreamId) -> bool {
    stream.kind == rivet_events::StreamType::Job
}
