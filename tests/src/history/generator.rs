//! The generator of pipelines and runners.

use chrono::{DateTime, TimeDelta, Utc};
use rivet_events::id::{PipelineId, RunnerId};
use rivet_events::pipeline::{
    PipelineConfig, PipelineCreated, PipelineDefinition, PipelineDeleted, PipelineEvent, PipelineRevised,
};
use rivet_events::runner::{
    Capabilities, Registration, RunnerEvent, RunnerHeartbeatRecorded, RunnerLost, RunnerRegistered,
    RunnerRemoved, RunnerReturned,
};
use rivet_events::{Event, StreamId};

use super::Stream;
use crate::dice::Dice;

/// Generates streams; with the same seed always the same.
#[derive(Debug)]
pub struct Generator {
    dice: Dice,
    pub(super) now: DateTime<Utc>,
    seed: u64,
    pub(super) jobs: usize,
    pub(super) pipelines: Vec<PipelineId>,
}

/// Number of runners at a time.
const FLEET: usize = 12;
/// Number of jobs after which other runners take over.
const SHIFT: usize = 500;

impl Generator {
    /// A generator whose streams depend only on `seed`, except for the ids in them.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            jobs: 0,
            dice: Dice::new(seed),
            now: DateTime::from_timestamp_micros(1_700_000_000_000_000).unwrap_or_default(),
            pipelines: (0..8).map(|_| PipelineId::generate()).collect(),
        }
    }

    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.dice.roll(sides)
    }

    pub(super) fn tick(&mut self) -> DateTime<Utc> {
        let millis = self.roll(1000);
        self.now += TimeDelta::milliseconds(millis.cast_signed());
        self.now
    }

    fn runner(&self, n: usize) -> RunnerId {
        format!("runner {} \"{n}\" ü\\", self.seed).parse().expect("invariant: a short name without controls")
    }

    pub(super) fn any_runner(&mut self) -> RunnerId {
        let n = usize::try_from(self.roll(FLEET as u64)).unwrap_or_default();
        self.runner(self.jobs / SHIFT * FLEET + n)
    }

    /// The streams of all pipelines, and of the first runners.
    pub fn pipelines_and_runners(&mut self) -> Vec<Stream> {
        let mut streams = self.pipeline_streams();
        streams.extend(self.runner_streams());
        streams
    }

    fn pipeline_streams(&mut self) -> Vec<Stream> {
        let mut streams = Vec::new();
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
            streams
                .push((StreamId::pipeline(pipeline_id), events.into_iter().map(Event::Pipeline).collect()));
        }
        streams
    }

    fn runner_streams(&mut self) -> Vec<Stream> {
        let mut streams = Vec::new();
        for runner_id in (0..FLEET).map(|n| self.runner(n)).collect::<Vec<_>>() {
            let names = (self.roll(3) > 0).then(|| vec!["docker".to_owned(), "os=linux".to_owned()]);
            let registration =
                Registration { capabilities: Capabilities(names), boot_id: None, registered_at: self.tick() };
            let Registration { capabilities, boot_id, registered_at } = registration.clone();
            let mut events = vec![RunnerEvent::Registered(RunnerRegistered {
                runner_id: runner_id.clone(),
                capabilities,
                boot_id,
                registered_at,
            })];
            for _ in 0..self.roll(8) {
                let at = self.tick();
                let is_lost = matches!(events.last(), Some(RunnerEvent::Lost(_)));
                events.push(match self.roll(3) {
                    _ if is_lost => RunnerEvent::Returned(RunnerReturned {
                        runner_id: runner_id.clone(),
                        returned_at: at,
                    }),
                    0 => RunnerEvent::Lost(RunnerLost {
                        runner_id: runner_id.clone(),
                        last_seen_at: at,
                        lost_at: at,
                    }),
                    n => RunnerEvent::HeartbeatRecorded(RunnerHeartbeatRecorded {
                        runner_id: runner_id.clone(),
                        heartbeat_at: at,
                        registration: (n == 1).then(|| registration.clone()),
                    }),
                });
            }
            if self.roll(5) == 0 {
                events.push(RunnerEvent::Removed(RunnerRemoved {
                    runner_id: runner_id.clone(),
                    removed_at: self.tick(),
                }));
            }
            streams.push((StreamId::runner(&runner_id), events.into_iter().map(Event::Runner).collect()));
        }
        streams
    }
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
