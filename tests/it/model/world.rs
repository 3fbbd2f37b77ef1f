//! The server and the model, side by side.

use std::collections::{BTreeSet, HashMap};

use reqwest::Method;
use rivet_orchestrator::clock::ManualClock;
use rivet_tests::client::{Answer, Client};
use rivet_tests::sample::{UNKNOWN, entry, failure, id, pipeline, success};
use serde_json::{Value, json};

use super::job::{Holder, Job, Refusal, State};
use super::operation::{Operation, Outcome, Sender};
use super::{PIPELINES, RUNNERS, WAIT, WAITS};

/// One sequence. Its runners have a capability of their own that its jobs demand, which keeps sequences apart.
pub(super) struct World<'a> {
    api: &'a Client,
    clock: &'a ManualClock,
    case: u32,
    pipelines: Vec<String>,
    jobs: Vec<Job>,
    /// Every lease given out, by the id of its job.
    leases: HashMap<String, Vec<String>>,
    /// Launches by pipeline and key: the job, and the body of the request.
    keys: HashMap<(usize, u8), (usize, u8)>,
    /// How many steps of time have passed.
    now: u32,
}

impl<'a> World<'a> {
    pub(super) async fn create(api: &'a Client, clock: &'a ManualClock, case: u32) -> Self {
        let capability = format!("case-{case}");
        let mut pipelines = Vec::new();
        for max_retries in 0..PIPELINES {
            let mut request = pipeline("modelled");
            request["required_modules"] = json!([capability]);
            request["config"]["max_retries"] = json!(max_retries);
            pipelines.push(id(&api.create_pipeline(&request).await.expect(200)));
        }
        let world = Self {
            api,
            clock,
            case,
            pipelines,
            jobs: Vec::new(),
            leases: HashMap::new(),
            keys: HashMap::new(),
            now: 0,
        };
        for runner in 0..RUNNERS {
            api.register(&world.name(runner), &[&capability]).await.expect(200);
        }
        world
    }

    fn name(&self, runner: usize) -> String {
        format!("runner-{}-{runner}", self.case)
    }

    /// Applies one operation to both, and compares their answers and the states after it.
    pub(super) async fn step(&mut self, operation: &Operation) -> Result<(), String> {
        match *operation {
            Operation::Launch { pipeline, key, body } => self.launch(pipeline, key, body).await?,
            Operation::ClaimNext { runner } => self.claim_next(runner).await?,
            Operation::Wait if self.now < WAITS => {
                self.clock.advance(WAIT);
                self.now += 1;
            }
            Operation::Wait => {}
            Operation::Claim { job, .. }
            | Operation::Status { job, .. }
            | Operation::Complete { job, .. }
            | Operation::Log { job, .. }
            | Operation::Cancel { job, .. }
            | Operation::Retry { job }
            | Operation::Heartbeat { job, .. } => {
                if !self.jobs.is_empty() {
                    self.say(job % self.jobs.len(), operation).await?;
                }
            }
        }
        self.compare_jobs().await
    }

    async fn launch(&mut self, pipeline: usize, key: Option<u8>, body: u8) -> Result<(), String> {
        let request = self.api.request(Method::POST, "/api/pipeline/launch");
        let launch = json!({"pipeline_id": self.pipelines[pipeline], "parameters": {"body": body}});
        let request = match key {
            Some(key) => request.header("idempotency-key", format!("key-{key}")),
            None => request,
        };
        let answer = self.api.send(request.json(&launch)).await;
        let first = key.and_then(|key| self.keys.get(&(pipeline, key)));
        let expected = match first {
            Some((_, first)) if *first != body => Err((409, "key_reused")),
            Some(_) | None => Ok(200),
        };
        compare(&answer, expected)?;
        match (first, expected) {
            (Some((job, _)), Ok(_)) => {
                equal("replayed job", &answer.json()["id"], &json!(self.jobs[*job].id))
            }
            (Some(_), Err(_)) => Ok(()),
            (None, _) => {
                if let Some(key) = key {
                    self.keys.insert((pipeline, key), (self.jobs.len(), body));
                }
                self.jobs.push(Job::launched(id(&answer.json()), pipeline, self.now));
                Ok(())
            }
        }
    }

    /// The job that was launched first, of those that are due.
    async fn claim_next(&mut self, runner: usize) -> Result<(), String> {
        let name = self.name(runner);
        let answer = self.api.claim_next(&name, 0).await;
        let due = |job: &&mut Job| matches!(job.state, State::Queued) && job.due_at <= self.now;
        let next = self.jobs.iter_mut().filter(due).min_by_key(|job| (job.launched_at, job.id.clone()));
        let Some(job) = next else { return compare(&answer, Ok(204)) };
        compare(&answer, Ok(200))?;
        equal("next job", &answer.json()["job_id"], &json!(job.id))?;
        let holder = Holder::new(name, &answer, true, None);
        self.leases.entry(job.id.clone()).or_default().push(holder.lease.clone());
        job.claim(holder);
        Ok(())
    }

    /// Applies an operation to a job.
    async fn say(&mut self, place: usize, operation: &Operation) -> Result<(), String> {
        let now = self.now;
        let id = self.jobs[place].id.clone();
        match operation {
            Operation::Claim { runner, fencing, key, .. } => self.claim(place, *runner, *fencing, *key).await,
            Operation::Status { sender, word, .. } => {
                let (client, lease) = self.sender(place, *sender);
                let answer = client.set_status(&id, word).await;
                let job = &mut self.jobs[place];
                let expected = match *word {
                    "Running" => job.start(lease.as_deref()),
                    "Queued" => Err((422, "invalid_status")),
                    word => job.finish(lease.as_deref(), word, Value::Null, now),
                };
                compare(&answer, expected.map(|()| 204))
            }
            Operation::Complete { sender, result, .. } => {
                let (client, lease) = self.sender(place, *sender);
                let (status, result) = result.report();
                let answer = client.complete(&id, &result).await;
                let expected = self.jobs[place].finish(lease.as_deref(), status, result, now);
                compare(&answer, expected.map(|()| 204))
            }
            Operation::Log { sender, offset, lines, .. } => {
                let (client, lease) = self.sender(place, *sender);
                let client = match offset {
                    Some(offset) => client.with("rivet-log-offset", offset),
                    None => client,
                };
                let entries: Vec<Value> = lines.iter().map(|line| entry(&line.to_string())).collect();
                let answer = client.append_logs(&id, &json!(entries)).await;
                let expected = self.jobs[place].append(lease.as_deref(), *offset, lines);
                compare(&answer, expected.map(|_| 201))?;
                match expected {
                    Ok(stored) => {
                        equal("ack", &json!(answer.header("rivet-log-ack")), &json!(stored.to_string()))
                    }
                    Err(_) => Ok(()),
                }
            }
            Operation::Cancel { force, .. } => {
                let answer = self.api.post(&format!("/api/jobs/{id}/cancel"), &json!({"force": force})).await;
                compare(&answer, self.jobs[place].cancel(*force).map(|()| 204))
            }
            Operation::Retry { .. } => self.retry(place).await,
            Operation::Heartbeat { sender, runner, .. } => self.heartbeat(place, *sender, *runner).await,
            Operation::Launch { .. } | Operation::ClaimNext { .. } | Operation::Wait => Ok(()),
        }
    }

    async fn claim(
        &mut self,
        place: usize,
        runner: usize,
        fencing: bool,
        key: Option<u8>,
    ) -> Result<(), String> {
        let name = self.name(runner);
        let client = match key {
            Some(key) => self.api.with("rivet-request-key", &format!("key-{key}")),
            None => self.api.clone(),
        };
        let job = &mut self.jobs[place];
        let body = json!({"runner_id": name, "fencing": fencing});
        let answer = client.post(&format!("/api/jobs/{}/claim", job.id), &body).await;
        let expected = job.may_claim(&name, key, self.now);
        compare(&answer, expected.map(|_| 200))?;
        if expected == Ok(true) {
            let holder = Holder::new(name, &answer, fencing, key);
            self.leases.entry(job.id.clone()).or_default().push(holder.lease.clone());
            job.claim(holder);
        }
        match (expected, &job.state) {
            (Ok(_), State::Running(holder)) => {
                let answer = answer.json();
                equal("lease", &answer["lease_id"], &json!(holder.lease))?;
                equal("attempt", &answer["attempt"], &json!(job.attempts))
            }
            (Ok(_) | Err(_), _) => Ok(()),
        }
    }

    async fn retry(&mut self, place: usize) -> Result<(), String> {
        let job = &self.jobs[place];
        let answer = self.api.retry(&job.id).await;
        let expected = match job.state {
            State::Ended { .. } => Ok(200),
            State::Queued | State::Running(_) => Err((409, "not_ended")),
        };
        compare(&answer, expected)?;
        if expected.is_ok() {
            equal("retried job", &answer.json()["retry_of"], &json!(job.id))?;
            self.jobs.push(Job::launched(id(&answer.json()), job.pipeline, self.now));
        }
        Ok(())
    }

    async fn heartbeat(&mut self, place: usize, sender: Sender, runner: usize) -> Result<(), String> {
        let name = self.name(runner);
        let (client, lease) = self.sender(place, sender);
        let answer = client.heartbeat(&name).await;
        let held: Vec<(&Job, &Holder)> = self.jobs.iter().filter_map(|job| job.held_by(&name)).collect();
        if lease.as_ref().is_some_and(|lease| held.iter().all(|(_, holder)| holder.lease != *lease)) {
            return compare(&answer, Err((409, "lease_lost")));
        }
        compare(&answer, Ok(204))?;
        let stop = held.iter().filter(|(_, holder)| holder.cancel.is_some()).map(|(job, _)| &*job.id);
        let told = answer.header("rivet-cancel").into_iter().flat_map(|ids| ids.split(','));
        equal("jobs to stop", &json!(told.collect::<BTreeSet<_>>()), &json!(stop.collect::<BTreeSet<_>>()))?;
        // A holder that has sent its lease has to send it from then on.
        for job in &mut self.jobs {
            if let State::Running(holder) = &mut job.state {
                holder.fencing |= lease.as_ref() == Some(&holder.lease);
            }
        }
        Ok(())
    }

    /// A client that sends the lease of this sender, and that lease.
    fn sender(&self, place: usize, sender: Sender) -> (Client, Option<String>) {
        let leases = self.leases.get(&self.jobs[place].id);
        let lease = match sender {
            Sender::Nobody => None,
            Sender::Last => leases.and_then(|leases| leases.last().cloned()),
            Sender::First => leases.and_then(|leases| leases.first().cloned()),
            Sender::Stranger => Some(UNKNOWN.to_owned()),
        };
        let client = match &lease {
            Some(lease) => self.api.with("rivet-lease", lease),
            None => self.api.clone(),
        };
        (client, lease)
    }

    async fn compare_jobs(&self) -> Result<(), String> {
        for job in &self.jobs {
            let read = self.api.job(&job.id).await;
            compare(&read, Ok(200))?;
            let read = read.json();
            for (member, expected) in job.body(self.now).as_object().into_iter().flatten() {
                equal(member, &read[member], expected)?;
            }
        }
        Ok(())
    }

    pub(super) async fn compare_logs(&self) -> Result<(), String> {
        for job in &self.jobs {
            let log = self.api.logs(&job.id).await;
            compare(&log, Ok(200))?;
            let entries = log.json();
            let read = entries.as_array().into_iter().flatten();
            let read: Vec<Value> = read.map(|entry| json!([entry["attempt"], entry["message"]])).collect();
            equal("log", &json!(read), &json!(job.lines()))?;
        }
        Ok(())
    }
}

impl Outcome {
    fn report(self) -> (&'static str, Value) {
        match self {
            Self::Success => ("Succeeded", success()),
            Self::Failure => ("Failed", failure()),
            Self::OtherFailure => {
                let mut result = failure();
                result["exit_code"] = json!(4);
                ("Failed", result)
            }
        }
    }
}

fn compare(answer: &Answer, expected: Result<u16, Refusal>) -> Result<(), String> {
    match expected {
        Ok(status) if answer.status == status => Ok(()),
        Err((status, code)) if answer.status == status && answer.json()["code"] == code => Ok(()),
        Ok(_) | Err(_) => Err(format!("expected {expected:?}, got {} {}", answer.status, answer.text)),
    }
}

fn equal(what: &str, found: &Value, expected: &Value) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: expected {expected}, got {found}")) }
}
