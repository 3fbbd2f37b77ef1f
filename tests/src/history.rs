//! Generated histories of pipelines, runners and jobs in which everything occurs that can happen to them. The same
//! seed gives the same history.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use rivet_events::event::UnreadableEvent;
use rivet_events::id::{JobId, LeaseId, PipelineId, RunnerId};
use rivet_events::job::{
    Concurrency, ExpiryCause, JobCancelRequested, JobCancelled, JobClaimed, JobCompleted, JobEvent,
    JobLaunched, JobLeaseExpired, JobLeaseShown, JobReportRefused, JobRequeued, JobResult, JobStarted,
    JobStatus, JobTimedOut, RequeueCause,
};
use rivet_events::job_log::{JobLogAppended, JobLogEvent, LogEntries, LogEntry, LogLevel};
use rivet_events::log::{Append, EventLog, StreamWrite};
use rivet_events::pipeline::{
    ConcurrencyPolicy, PipelineConfig, PipelineCreated, PipelineDefinition, PipelineDeleted, PipelineEvent,
    PipelineRevised,
};
use rivet_events::runner::{
    RunnerEvent, RunnerHeartbeatRecorded, RunnerLost, RunnerRegistered, RunnerRemoved, RunnerReturned,
};
use rivet_events::{Event, Metadata, StreamId, StreamType, Version};
use serde_json::json;
use serde_json::value::to_raw_value;

/// Generates histories.
#[derive(Debug)]
pub struct Storyteller {
    dice: u64,
    now: DateTime<Utc>,
    seed: u64,
    jobs: usize,
    pipelines: Vec<PipelineId>,
}

/// Number of runners at a time.
const FLEET: usize = 12;
/// Number of jobs after which other runners take over.
const SHIFT: usize = 500;

/// The events of one stream, in order.
pub type Story = (StreamId, Vec<Event>);

impl Storyteller {
    /// A generator whose histories depend only on `seed`, except for the ids in them.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            jobs: 0,
            dice: seed.wrapping_mul(2).wrapping_add(1),
            now: DateTime::from_timestamp_micros(1_700_000_000_000_000).unwrap_or_default(),
            pipelines: (0..8).map(|_| PipelineId::generate()).collect(),
        }
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    fn tick(&mut self) -> DateTime<Utc> {
        let millis = self.roll(1000);
        self.now += TimeDelta::milliseconds(millis.cast_signed());
        self.now
    }

    fn runner(&self, n: usize) -> RunnerId {
        format!("runner {} \"{n}\" ü\\", self.seed).parse().expect("invariant: a short name without controls")
    }

    fn any_runner(&mut self) -> RunnerId {
        let n = usize::try_from(self.roll(FLEET as u64)).unwrap_or_default();
        self.runner(self.jobs / SHIFT * FLEET + n)
    }

    /// The streams of all pipelines, and of the first runners.
    pub fn stage(&mut self) -> Vec<Story> {
        let mut stories = Vec::new();
        for pipeline_id in self.pipelines.clone() {
            let mut events = vec![PipelineEvent::Created(PipelineCreated {
                pipeline_id,
                definition: definition("return {}"),
                created_at: self.tick(),
            })];
            for version in 2..2 + self.roll(3) {
                events.push(PipelineEvent::Revised(PipelineRevised {
                    pipeline_id,
                    version: u32::try_from(version).unwrap_or(2),
                    definition: definition(&format!("return {version}\0")),
                    restores: None,
                    revised_at: self.tick(),
                }));
            }
            if self.roll(4) == 0 {
                events.push(PipelineEvent::Deleted(PipelineDeleted { pipeline_id, deleted_at: self.tick() }));
            }
            stories
                .push((StreamId::pipeline(pipeline_id), events.into_iter().map(Event::Pipeline).collect()));
        }
        for runner_id in (0..FLEET).map(|n| self.runner(n)).collect::<Vec<_>>() {
            let capabilities = (self.roll(3) > 0).then(|| vec!["docker".to_owned(), "os=linux".to_owned()]);
            let registered = RunnerRegistered {
                runner_id: runner_id.clone(),
                capabilities,
                boot_id: None,
                registered_at: self.tick(),
            };
            let mut events = vec![RunnerEvent::Registered(registered)];
            for _ in 0..self.roll(4) {
                let at = self.tick();
                events.push(match self.roll(3) {
                    0 => RunnerEvent::HeartbeatRecorded(RunnerHeartbeatRecorded {
                        runner_id: runner_id.clone(),
                        heartbeat_at: at,
                    }),
                    1 => RunnerEvent::Lost(RunnerLost {
                        runner_id: runner_id.clone(),
                        last_seen_at: at,
                        lost_at: at,
                    }),
                    _ => RunnerEvent::Returned(RunnerReturned {
                        runner_id: runner_id.clone(),
                        returned_at: at,
                    }),
                });
            }
            if self.roll(5) == 0 {
                events.push(RunnerEvent::Removed(RunnerRemoved {
                    runner_id: runner_id.clone(),
                    removed_at: self.tick(),
                }));
            }
            stories.push((StreamId::runner(&runner_id), events.into_iter().map(Event::Runner).collect()));
        }
        stories
    }

    /// The stream of one job, from its launch to its end or to where the history stops, and that of its log.
    pub fn job(&mut self) -> [Story; 2] {
        let job_id = JobId::generate();
        self.jobs += 1;
        let pipeline = usize::try_from(self.roll(8)).unwrap_or_default();
        let pipeline_id = self.pipelines[pipeline];
        let mut events = vec![JobEvent::Launched(self.launch(job_id, pipeline_id))];
        let mut logs = Vec::new();
        let mut first_index = 1;
        for attempt in 1..=3 {
            if self.roll(10) == 0 {
                break;
            }
            let ended = self.attempt(job_id, pipeline_id, attempt, &mut events);
            for batch in 0..self.roll(3) {
                let appended = self.log(job_id, pipeline_id, attempt, batch, first_index);
                first_index += appended.entries.len() as u64;
                logs.push(Event::JobLog(JobLogEvent::Appended(appended)));
            }
            if ended {
                break;
            }
        }
        let events = events.into_iter().map(Event::Job).collect();
        [(StreamId::job(job_id), events), (StreamId::job_log(job_id), logs)]
    }

    fn launch(&mut self, job_id: JobId, pipeline_id: PipelineId) -> JobLaunched {
        let demands = [vec![], vec!["docker".to_owned()], vec!["gpu".to_owned(), "docker".to_owned()]];
        let requested_at = self.tick();
        JobLaunched {
            job_id,
            pipeline_id,
            pipeline_version: 1,
            parameters: serde_json::Map::from_iter([("text".to_owned(), "a\0b \u{1a}0 \u{1F680}".into())]),
            demands: demands[usize::try_from(self.roll(3)).unwrap_or_default()].clone(),
            priority: u8::try_from(self.roll(10)).unwrap_or_default(),
            max_retries: 2,
            timeout_seconds: None,
            retry_on_runner_lost: false,
            concurrency: (self.roll(5) == 0).then(|| Concurrency {
                group: format!("group {}", job_id.as_uuid().as_u128() % 7),
                limit: 2,
                policy: ConcurrencyPolicy::Queue,
            }),
            retry_of: None,
            request_digest: None,
            requested_at,
        }
    }

    /// One attempt; returns whether the job or its history ends with it.
    fn attempt(
        &mut self,
        job_id: JobId,
        pipeline_id: PipelineId,
        attempt: u32,
        events: &mut Vec<JobEvent>,
    ) -> bool {
        let (runner_id, lease_id) = (self.any_runner(), LeaseId::generate());
        events.push(JobEvent::Claimed(JobClaimed {
            job_id,
            pipeline_id,
            runner_id: runner_id.clone(),
            attempt,
            lease_id,
            fencing: self.roll(2) == 0,
            request_key: None,
            ready_at: None,
            claimed_at: self.tick(),
        }));
        if self.jobs.is_multiple_of(8) {
            events.push(JobEvent::LeaseShown(JobLeaseShown {
                job_id,
                pipeline_id,
                runner_id: runner_id.clone(),
                attempt,
                shown_at: self.now,
            }));
        }
        if self.roll(4) > 0 {
            events.push(JobEvent::Started(JobStarted {
                job_id,
                pipeline_id,
                runner_id: runner_id.clone(),
                attempt,
                fencing: true,
                started_at: self.tick(),
            }));
        }
        if self.roll(12) == 0 {
            events.push(JobEvent::ReportRefused(JobReportRefused {
                job_id,
                pipeline_id,
                lease_id: LeaseId::generate(),
                status: JobStatus::Failed,
                result: Some(result(false)),
                refused_at: self.tick(),
            }));
        }
        if self.roll(6) == 0 {
            events.push(JobEvent::CancelRequested(JobCancelRequested {
                job_id,
                pipeline_id,
                runner_id: runner_id.clone(),
                reason: None,
                force: self.roll(2) == 0,
                requested_at: self.tick(),
            }));
        }
        self.end(job_id, pipeline_id, attempt, &runner_id, lease_id, events)
    }

    fn end(
        &mut self,
        job_id: JobId,
        pipeline_id: PipelineId,
        attempt: u32,
        runner_id: &RunnerId,
        lease_id: LeaseId,
        events: &mut Vec<JobEvent>,
    ) -> bool {
        let at = self.tick();
        match self.roll(8) {
            0 => {}
            1 => events.push(JobEvent::Cancelled(JobCancelled {
                job_id,
                pipeline_id,
                runner_id: Some(runner_id.clone()),
                attempt,
                result: None,
                reason: Some("asked".to_owned()),
                cancelled_at: at,
            })),
            2 => events.push(JobEvent::TimedOut(JobTimedOut {
                job_id,
                pipeline_id,
                runner_id: Some(runner_id.clone()),
                attempt,
                result: None,
                reason: "run_timeout".to_owned(),
                timed_out_at: at,
            })),
            3 => {
                events.push(JobEvent::LeaseExpired(JobLeaseExpired {
                    job_id,
                    pipeline_id,
                    runner_id: runner_id.clone(),
                    attempt,
                    lease_id,
                    cause: ExpiryCause::Silent,
                    expired_at: at,
                }));
                events.push(JobEvent::Requeued(JobRequeued {
                    job_id,
                    pipeline_id,
                    runner_id: runner_id.clone(),
                    attempt,
                    cause: RequeueCause::RunnerLost,
                    result: None,
                    needs_fencing: self.roll(2) == 0,
                    due_at: at + TimeDelta::seconds(2),
                    requeued_at: at,
                }));
                return false;
            }
            _ => events.push(JobEvent::Completed(JobCompleted {
                job_id,
                pipeline_id,
                runner_id: runner_id.clone(),
                attempt,
                status: JobStatus::Succeeded,
                result: Some(result(true)),
                reason: None,
                completed_at: at,
            })),
        }
        true
    }

    fn log(
        &mut self,
        job_id: JobId,
        pipeline_id: PipelineId,
        attempt: u32,
        offset: u64,
        first_index: u64,
    ) -> JobLogAppended {
        let appended_at = self.tick();
        let entries: Vec<_> = (0..=self.roll(4))
            .map(|n| LogEntry {
                timestamp: appended_at,
                level: LogLevel::Info,
                message: format!("line {n}: a message of some length, as jobs write them"),
            })
            .collect();
        let entries = LogEntries::new(&entries);
        let digest = format!("{job_id}/{first_index}");
        JobLogAppended { job_id, pipeline_id, attempt, offset, first_index, entries, digest, appended_at }
    }
}

fn result(success: bool) -> JobResult {
    JobResult { success, exit_code: i32::from(!success), output: Some("\0".into()), error_message: None }
}

fn definition(script: &str) -> PipelineDefinition {
    PipelineDefinition {
        name: "build".to_owned(),
        description: None,
        script: script.to_owned(),
        tags: Vec::new(),
        required_modules: Vec::new(),
        demands: Vec::new(),
        inputs: std::collections::BTreeMap::new(),
        config: PipelineConfig::default(),
    }
}

/// A history of that many jobs: the streams of the stage, and then those of the jobs and of their logs.
pub fn stories(seed: u64, jobs: usize) -> Vec<Story> {
    let mut teller = Storyteller::new(seed);
    let mut stories = teller.stage();
    stories.extend((0..jobs).flat_map(|_| teller.job()));
    stories
}

/// An event of a type that no build knows.
pub fn unreadable(event_type: &str) -> Event {
    Event::Unreadable(UnreadableEvent {
        payload: to_raw_value(&json!({"type": event_type})).expect("invariant: JSON is JSON"),
        event_type: event_type.to_owned(),
        event_version: 7,
        error: String::new(),
    })
}

/// Appends streams from their beginnings, many at once, `step` events of each at a time. As in a real history, the log of
/// a job begins after the job.
pub async fn tell_all(log: &dyn EventLog, stories: &[Story], step: usize) {
    let is_log = |(stream, _): &Story| stream.kind == StreamType::JobLog;
    for some in stories.chunks(64) {
        let begin = |story| tell_steps(log, story, step, 0..1);
        join_all(some.iter().filter(|story| !is_log(story)).map(begin)).await;
        let go_on = |story| tell_steps(log, story, step, usize::from(!is_log(story))..usize::MAX);
        join_all(some.iter().map(go_on)).await;
    }
}

/// Appends a stream from its beginning, `step` events at a time.
pub async fn tell(log: &dyn EventLog, story: &Story, step: usize) {
    tell_steps(log, story, step, 0..usize::MAX).await;
}

async fn tell_steps(log: &dyn EventLog, (stream, events): &Story, step: usize, steps: Range<usize>) {
    for (n, events) in events.chunks(step).enumerate().skip(steps.start).take(steps.len()) {
        let write = StreamWrite {
            stream: stream.clone(),
            expected: Version((n * step) as u64),
            events: events.to_vec(),
        };
        let append = Append {
            writes: vec![write],
            metadata: Metadata::default(),
            recorded_at: DateTime::from_timestamp_micros(1_700_000_000_000_000).unwrap_or_default(),
        };
        log.append(append).await.expect("the log takes it");
    }
}
