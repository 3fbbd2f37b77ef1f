//! The generator of jobs and of their logs.

use rivet_events::id::{JobId, LeaseId, PipelineId};
use rivet_events::job::{Concurrency, JobEvent, JobLaunched};
use rivet_events::job_log::{JobLogAppended, JobLogEvent, LogEntries, LogEntry, LogLevel};
use rivet_events::pipeline::ConcurrencyPolicy;
use rivet_events::{Event, StreamId};

use super::attempt::Attempt;
use super::{Generator, Stream};

impl Generator {
    /// The stream of one job, from its launch to its end or to where the history stops, and that of its log.
    pub fn job(&mut self) -> [Stream; 2] {
        let job_id = JobId::generate();
        self.jobs += 1;
        let pipeline = usize::try_from(self.roll(8)).unwrap_or_default();
        let pipeline_id = self.pipelines[pipeline];
        let mut events = vec![JobEvent::Launched(self.launch(job_id, pipeline_id))];
        let mut logs = Vec::new();
        let mut first_index = 1;
        for number in 1..=3 {
            if self.roll(10) == 0 {
                break;
            }
            let (runner_id, lease_id) = (self.any_runner(), LeaseId::generate());
            let attempt = Attempt { job_id, pipeline_id, runner_id, lease_id, number };
            let ended = self.attempt(&attempt, &mut events);
            for offset in 0..self.roll(3) {
                let appended = self.log(&attempt, offset, first_index);
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
    fn attempt(&mut self, attempt: &Attempt, events: &mut Vec<JobEvent>) -> bool {
        events.push(attempt.claimed(self.roll(2) == 0, self.tick()));
        if self.jobs.is_multiple_of(8) {
            events.push(attempt.lease_shown(self.now));
        }
        if self.roll(4) > 0 {
            events.push(attempt.started(self.tick()));
        }
        if self.roll(12) == 0 {
            events.push(attempt.report_refused(self.tick()));
        }
        if self.roll(6) == 0 {
            events.push(attempt.cancel_requested(self.roll(2) == 0, self.tick()));
        }
        self.end(attempt, events)
    }

    fn end(&mut self, attempt: &Attempt, events: &mut Vec<JobEvent>) -> bool {
        let at = self.tick();
        match self.roll(8) {
            0 => {}
            1 => events.push(attempt.cancelled(at)),
            2 => events.push(attempt.timed_out(at)),
            3 => {
                events.push(attempt.lease_expired(at));
                events.push(attempt.requeued(self.roll(2) == 0, at));
                return false;
            }
            _ => events.push(attempt.completed(at)),
        }
        true
    }

    fn log(&mut self, attempt: &Attempt, offset: u64, first_index: u64) -> JobLogAppended {
        let appended_at = self.tick();
        let entries: Vec<_> = (0..=self.roll(4))
            .map(|n| LogEntry {
                timestamp: appended_at,
                level: LogLevel::Info,
                message: format!("line {n}: a message of some length, as jobs write them"),
            })
            .collect();
        let &Attempt { job_id, pipeline_id, number, .. } = attempt;
        JobLogAppended {
            job_id,
            pipeline_id,
            attempt: number,
            offset,
            first_index,
            entries: LogEntries::new(&entries),
            digest: format!("{job_id}/{first_index}"),
            appended_at,
        }
    }
}
