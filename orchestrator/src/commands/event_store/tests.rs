//! The framework of cqrs-es over an executor, whose log is in memory.

use std::mem::discriminant;
use std::sync::{Arc, Mutex};

use chrono::DateTime;
use cqrs_es::{Aggregate, CqrsFramework};
use rivet_events::database::Database;
use rivet_events::id::{JobId, PipelineId};
use rivet_events::log::{LogSettings, in_memory};
use rivet_events::{Position, StreamId};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

use super::*;
use crate::clock::SystemClock;
use crate::commands::Commands;
use crate::domain::job::fixture::plain_launch;
use crate::domain::job::{JobCommand, JobError, JobState, LaunchJob, PurgeJob, StartJob};
use crate::metrics::Metrics;

/// Commands over a log in memory. The database, which is beside it, is not used.
async fn commands() -> (Commands, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("rivet.db").display());
    let database = Database::connect(&url).await.unwrap();
    let log = in_memory(LogSettings::default()).await.unwrap();
    let metrics = Metrics::new(DateTime::UNIX_EPOCH);
    let clock = Arc::new(SystemClock);
    let commands = Commands::new(&database, log, clock, Position(0), &metrics, &TaskTracker::new());
    (commands, directory)
}

fn launch(job_id: JobId) -> JobCommand {
    let launch = plain_launch(job_id, PipelineId::generate(), DateTime::UNIX_EPOCH);
    JobCommand::Launch(LaunchJob { launch: Box::new(launch) })
}

#[tokio::test]
async fn a_command_of_the_framework_is_recorded_in_the_log_and_observed() {
    let (commands, _directory) = commands().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seeing = Arc::clone(&seen);
    let jobs = commands.jobs.clone().observed(move |before: &JobState, after: &JobState| {
        seeing.lock().unwrap().push((before.clone(), after.clone()));
    });
    let framework = CqrsFramework::new(jobs.clone(), vec![], ());
    let job_id = JobId::generate();
    let metadata = Metadata { actor: Some("client".to_owned()), ..Metadata::default() };
    framework.execute_with_metadata(&job_id.to_string(), launch(job_id), metadata.to_map()).await.unwrap();

    let recorded = commands.log().read_stream(&StreamId::job(job_id), Version::default()).await.unwrap();
    assert_eq!(recorded.len(), 1);
    assert_eq!(
        (recorded[0].event.event_type(), &recorded[0].metadata.actor),
        ("job.launched", &metadata.actor)
    );
    assert!(recorded[0].metadata.command_id.is_some());
    let events: Vec<EventEnvelope<AggregateOf<JobState>>> =
        jobs.load_events(&job_id.to_string()).await.unwrap();
    assert_eq!((events[0].sequence, &events[0].metadata), (1, &recorded[0].metadata.to_map()));
    let seen = seen.lock().unwrap().clone();
    let [(before, after)] = &seen[..] else { panic!("one append is observed") };
    assert_eq!(*before, JobState::Absent);
    assert_ne!(discriminant(before), discriminant(after));
    assert_eq!(*jobs.load(job_id).await.unwrap().state, *after);
}

#[tokio::test]
async fn a_refusal_and_nothing_to_do_record_nothing() {
    let (commands, _directory) = commands().await;
    let framework = CqrsFramework::new(commands.jobs.clone(), vec![], ());
    let (job_id, now) = (JobId::generate(), DateTime::UNIX_EPOCH);
    framework.execute(&job_id.to_string(), launch(job_id)).await.unwrap();
    let start = JobCommand::Start(StartJob { lease: None, now });
    let refused = framework.execute(&job_id.to_string(), start).await;
    assert!(matches!(refused, Err(AggregateError::UserError(JobError::NotRunning))), "{refused:?}");
    let purge = JobCommand::Purge(PurgeJob { ended_until: now, now });
    framework.execute(&job_id.to_string(), purge).await.unwrap();
    assert_eq!(commands.log().head().await.unwrap(), Position(1));
}

#[tokio::test]
async fn of_two_commits_on_one_version_the_second_is_a_conflict() {
    let (commands, _directory) = commands().await;
    let job_id = JobId::generate();
    let mut outcomes = Vec::new();
    let contexts = [
        commands.jobs.load_aggregate(&job_id.to_string()).await.unwrap(),
        commands.jobs.load_aggregate(&job_id.to_string()).await.unwrap(),
    ];
    for mut context in contexts {
        let sink = cqrs_es::event_sink::EventSink::default();
        context.aggregate().handle(launch(job_id), &(), &sink).await.unwrap();
        let events = sink.collect().await;
        outcomes.push(commands.jobs.commit(events, context, HashMap::new()).await);
    }
    assert!(matches!(outcomes[..], [Ok(_), Err(AggregateError::AggregateConflict)]), "{outcomes:?}");
}
