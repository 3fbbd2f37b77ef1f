//! What was acknowledged, and the check that the log has all of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rivet_tests::client::Client;
use rivet_tests::verify::{assert_dense, events};
use serde_json::Value;

/// What the clients were told of a job, and what the log says of it, in the same form, so that the two can be
/// compared.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Lifecycle {
    /// Lease and runner of each attempt.
    pub(crate) holders: BTreeMap<u64, (String, String)>,
    /// The lines of the log, in order.
    pub(crate) lines: Vec<String>,
    /// The output of the accepted result.
    pub(crate) result: Option<Value>,
}

/// What was acknowledged of each job, beginning with its launch.
#[derive(Default)]
pub(crate) struct Journal {
    jobs: Mutex<HashMap<String, Lifecycle>>,
    ended: AtomicU64,
    /// Requests that were repeated because they got no good answer.
    pub(crate) repeated: AtomicU64,
    /// Launches and claims that got the answer of an earlier try.
    pub(crate) replayed: AtomicU64,
}

impl Journal {
    fn jobs(&self) -> MutexGuard<'_, HashMap<String, Lifecycle>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn launched(&self, job: &str) {
        self.jobs().entry(job.to_owned()).or_default();
    }

    /// A runner may get a job before its launch is acknowledged.
    pub(crate) fn claimed(&self, job: &str, attempt: u64, lease: &str, runner: &str) {
        let holder = (lease.to_owned(), runner.to_owned());
        let before = self.jobs().entry(job.to_owned()).or_default().holders.insert(attempt, holder);
        assert_eq!(before, None, "two claims won attempt {attempt} of {job}");
    }

    pub(crate) fn logged(&self, job: &str, line: String) {
        self.jobs().get_mut(job).expect("it was claimed").lines.push(line);
    }

    pub(crate) fn completed(&self, job: &str, result: Value) {
        let before = self.jobs().get_mut(job).expect("it was claimed").result.replace(result);
        assert_eq!(before, None, "two results were accepted of {job}");
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Jobs that were launched and have not ended.
    pub(crate) fn outstanding(&self) -> u64 {
        (self.jobs().len() as u64).saturating_sub(self.ended.load(Ordering::Relaxed))
    }

    pub(crate) fn summary(&self, time: Duration) -> String {
        let jobs = self.jobs();
        let lines: usize = jobs.values().map(|job| job.lines.len()).sum();
        format!(
            "{} jobs with {lines} log lines in {time:.0?}; {} requests were repeated, {} got their first answer again",
            jobs.len(),
            self.repeated.load(Ordering::Relaxed),
            self.replayed.load(Ordering::Relaxed),
        )
    }

    /// Checks that the log has exactly what was acknowledged: not less, and not more either, since every request was
    /// repeated until it was acknowledged.
    pub(crate) async fn assert_kept(&self, api: &Client) {
        let events = events(api).await;
        assert_dense(&events);
        println!("{} events in the log", events.len());
        let mut kept: HashMap<String, Lifecycle> = HashMap::new();
        for event in &events {
            let job = kept.entry(event["stream_id"].as_str().unwrap().to_owned());
            let payload = &event["payload"];
            match event["type"].as_str().unwrap() {
                "job.launched" => {
                    assert_eq!(*job.or_default(), Lifecycle::default(), "launched twice: {event}");
                }
                "job.claimed" => job.or_default().claim(payload),
                "job_log.appended" => {
                    let lines = payload["entries"].as_array().unwrap().iter();
                    job.or_default()
                        .lines
                        .extend(lines.map(|line| line["message"].as_str().unwrap().to_owned()));
                }
                "job.completed" => {
                    let result = Some(payload["result"]["output"].clone());
                    assert_eq!(std::mem::replace(&mut job.or_default().result, result), None, "{event}");
                }
                "job.started" | "claim.answered" => {}
                other if other.starts_with("runner.") || other.starts_with("pipeline.") => {}
                // No runner was silent, so no lease may have been lost.
                other => panic!("{other}: {event}"),
            }
        }
        for (id, acknowledged) in &*self.jobs() {
            assert_eq!(kept.get(id), Some(acknowledged), "{id}");
        }
        let launched = kept.values().filter(|job| **job != Lifecycle::default()).count();
        assert_eq!(launched, self.jobs().len());
    }
}

impl Lifecycle {
    fn claim(&mut self, payload: &Value) {
        let text = |member: &str| payload[member].as_str().unwrap().to_owned();
        let attempt = payload["attempt"].as_u64().unwrap();
        let before = self.holders.insert(attempt, (text("lease_id"), text("runner_id")));
        assert_eq!(before, None, "claimed twice: {payload}");
    }
}
