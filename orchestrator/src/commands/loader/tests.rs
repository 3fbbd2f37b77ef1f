//! Which events are read of streams that become long.

use std::time::Duration;

use chrono::DateTime;
use rivet_events::Metadata;
use rivet_events::id::{JobId, PipelineId, RunnerId};
use rivet_events::job_log::{JobLogAppended, JobLogEvent, LogEntries};
use rivet_events::log::{Append, LogSettings, StreamWrite, in_memory};
use rivet_events::pipeline::{PipelineEvent, PipelineRevised};
use rivet_events::runner::Capabilities;

use super::*;
use crate::domain::pipeline::PipelineState;
use crate::domain::runner::{RecordHeartbeat, RegisterRunner, RunnerCommand, RunnerState};

async fn append(log: &dyn EventLog, stream: &StreamId, expected: u64, event: impl Into<Event>) {
    let writes =
        vec![StreamWrite { stream: stream.clone(), expected: Version(expected), events: vec![event.into()] }];
    let (metadata, recorded_at) = (Metadata::default(), DateTime::UNIX_EPOCH);
    log.append(Append { writes, metadata, recorded_at }).await.unwrap();
}

#[tokio::test]
async fn of_a_long_log_only_the_remembered_batches_are_read() {
    let log = in_memory(LogSettings::default()).await.unwrap();
    let job_id = JobId::generate();
    let stream = StreamId::job_log(job_id);
    assert_eq!(read_remembered(&*log, &stream).await.unwrap(), []);
    for number in 0..20 {
        let appended = JobLogEvent::Appended(JobLogAppended {
            job_id,
            pipeline_id: PipelineId::generate(),
            attempt: 1,
            offset: number,
            first_index: number + 1,
            entries: LogEntries::new(&[]),
            digest: String::new(),
            appended_at: DateTime::UNIX_EPOCH,
        });
        append(&*log, &stream, number, appended).await;
        let read = read_remembered(&*log, &stream).await.unwrap();
        assert_eq!(read.len(), REMEMBERED_BATCHES.min(usize::try_from(number).unwrap() + 1));
        assert_eq!(read.last().unwrap().sequence, Version(number + 1));
    }
}

#[tokio::test]
async fn of_a_pipeline_only_the_creation_and_the_newest_version_are_read() {
    let log = in_memory(LogSettings::default()).await.unwrap();
    let stream = StreamId::pipeline(PipelineId::generate());
    let golden = |text| -> PipelineEvent { serde_json::from_str(text).unwrap() };
    let created = golden(include_str!("../../../../events/golden/pipeline.created.v1.json"));
    let revised = golden(include_str!("../../../../events/golden/pipeline.revised.v1.json"));
    let deleted = golden(include_str!("../../../../events/golden/pipeline.deleted.v1.json"));
    let PipelineEvent::Revised(revised) = revised else { panic!("{revised:?}") };
    let mut events = vec![created];
    events.extend(
        (2..=5).map(|version| PipelineEvent::Revised(PipelineRevised { version, ..revised.clone() })),
    );
    events.push(deleted);

    let mut folded = PipelineState::default();
    for (before, event) in (0..).zip(events) {
        append(&*log, &stream, before, event.clone()).await;
        folded = folded.evolve(event);
        let read = read_part(&*log, &stream).await.map(Option::unwrap);
        assert!(read.as_ref().is_ok_and(|events| events.len() <= 3));
        let loaded = replay(PipelineState::default(), Version::default(), read);
        let (pipeline, version) = loaded.unwrap_or_else(|_| panic!("version {before} cannot be loaded"));
        assert_eq!((pipeline, version), (folded.clone(), Version(before + 1)));
    }
}

#[tokio::test]
async fn of_a_runner_that_lives_long_only_the_end_is_read() {
    let log = in_memory(LogSettings::default()).await.unwrap();
    let runner_id: RunnerId = "r".parse().unwrap();
    let stream = StreamId::runner(&runner_id);
    let (mut runner, now) = (RunnerState::default(), |n| DateTime::from_timestamp(n, 0).unwrap());
    let register = RegisterRunner {
        runner_id: runner_id.clone(),
        capabilities: Capabilities(Some(vec!["docker".to_owned()])),
        boot_id: None,
        now: now(0),
    };
    let mut command = RunnerCommand::Register(register);
    for before in 0..400 {
        for event in runner.decide(command).unwrap() {
            append(&*log, &stream, before, event.clone()).await;
            runner = runner.evolve(event);
        }
        let read = read_part(&*log, &stream).await.map(Option::unwrap);
        assert!(read.as_ref().is_ok_and(|events| events.len() <= 128));
        let loaded = replay(RunnerState::default(), Version::default(), read);
        let (loaded, version) = loaded.unwrap_or_else(|_| panic!("version {before} cannot be loaded"));
        assert_eq!((loaded, version), (runner.clone(), Version(before + 1)));
        let (runner_id, resolution) = (runner_id.clone(), Duration::ZERO);
        let now = now(before.cast_signed() + 1);
        command = RunnerCommand::Heartbeat(RecordHeartbeat { runner_id, resolution, now });
    }
}
