//! One worker: launches a job, sends all that its runner would send, and reads back what became of it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use rivet_events::id::{JobId, LeaseId};
use rivet_events::job::JobStatus;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::error::Failure;
use super::fixture::{Fixture, Launched};
use super::http::{Answer, Connection, Target};
use super::load::{Arrival, Arrivals};
use super::options::{BenchOptions, Dialect};
use super::recorder::{Operation, Recorder};
use super::request::{Fill, Request};
use crate::clock::{Clock, SystemClock};

/// One in so many jobs is read twice, and its log is read too.
const SAMPLE: u64 = 16;
/// Pause after a failure.
const REST: Duration = Duration::from_millis(100);
/// The header of a holder that fences, as a good client does.
const LEASE: &str = "rivet-lease: {lease}\r\n";
const LEASE_AND_OFFSET: &str = "rivet-lease: {lease}\r\nrivet-log-offset: {number}\r\n";

/// A runner that launches its own jobs.
#[derive(Debug)]
pub(super) struct Worker {
    options: Rc<BenchOptions>,
    requests: Rc<Requests>,
    claim: Request,
    connection: Connection,
    recorder: Rc<Recorder>,
    job_under_way: watch::Sender<Option<JobId>>,
}

#[derive(Debug, Deserialize)]
struct Claimed {
    lease_id: LeaseId,
}

#[derive(Debug, Deserialize)]
struct Read {
    status: JobStatus,
}

/// An entry of a log, of which only the presence matters.
#[derive(Debug, Deserialize)]
struct ReadEntry {}

impl Worker {
    /// A worker that acts as `runner`.
    pub(super) fn new(
        options: &Rc<BenchOptions>,
        fixture: &Fixture,
        requests: &Rc<Requests>,
        runner: &str,
        recorder: &Rc<Recorder>,
        job_under_way: &watch::Sender<Option<JobId>>,
    ) -> Self {
        Self {
            options: Rc::clone(options),
            requests: Rc::clone(requests),
            claim: claim(&fixture.target, options.dialect, runner),
            connection: Connection::new(&fixture.target),
            recorder: Rc::clone(recorder),
            job_under_way: job_under_way.clone(),
        }
    }

    /// Runs the lives of jobs until there are no more.
    pub(super) async fn run(mut self, arrivals: Rc<Arrivals>) {
        while let Some(arrival) = arrivals.next().await {
            match self.run_lifecycle(arrival).await {
                Ok(()) => self.recorder.took(Operation::Lifecycle, arrival.began.elapsed()),
                Err((operation, failure)) => {
                    self.recorder.failed(operation.as_str(), &failure);
                    self.recorder.lifecycle_failed();
                    if !arrivals.has_schedule() {
                        arrivals.rest(REST).await;
                    }
                }
            }
        }
        self.recorder.reconnected(self.connection.reconnects());
    }

    /// Runs the life of one job, from its launch to its being read back.
    async fn run_lifecycle(
        &mut self,
        Arrival { number, began }: Arrival,
    ) -> Result<(), (Operation, Failure)> {
        let Self { requests, claim, connection, recorder, options, .. } = self;
        let mut call = Call { connection, recorder, fill: Fill::default() };

        let launched: Launched = call.json(Operation::Launch, &requests.launch, began).await?;
        call.fill.job = Some(launched.id);
        let claimed: Claimed = call.json(Operation::Claim, claim, Instant::now()).await?;
        call.fill.lease = Some(claimed.lease_id);
        self.job_under_way.send_replace(Some(launched.id));
        if let Some(status) = &requests.status {
            call.command(Operation::Status, status).await?;
        }
        for batch in 0..options.log_batches {
            call.fill.number = u64::from(batch) * u64::from(options.log_entries);
            call.command(Operation::AppendLogs, &requests.append_logs).await?;
            recorder.wrote(options.text_of_a_batch());
        }
        call.command(Operation::Complete, &requests.complete).await?;

        let read: Read = call.json(Operation::ReadBack, &requests.read, Instant::now()).await?;
        if read.status != JobStatus::Succeeded {
            recorder.stale();
        }
        if number.is_multiple_of(SAMPLE) {
            call.json::<Read>(Operation::ReadAgain, &requests.read, Instant::now()).await?;
            let log: Vec<ReadEntry> =
                call.json(Operation::ReadLogs, &requests.read_logs, Instant::now()).await?;
            if log.len() as u64 != options.entries_of_a_job() {
                recorder.stale();
            }
        }
        Ok(())
    }
}

/// The calls of one job: what they share.
struct Call<'a> {
    connection: &'a mut Connection,
    recorder: &'a Recorder,
    fill: Fill,
}

impl Call<'_> {
    async fn command(&mut self, operation: Operation, request: &Request) -> Result<(), (Operation, Failure)> {
        self.answer(operation, request, Instant::now()).await.map(|_| ())
    }

    async fn json<T: for<'a> Deserialize<'a>>(
        &mut self,
        operation: Operation,
        request: &Request,
        began: Instant,
    ) -> Result<T, (Operation, Failure)> {
        let answer = self.answer(operation, request, began).await?;
        answer.json().map_err(|failure| (operation, failure))
    }

    async fn answer(
        &mut self,
        operation: Operation,
        request: &Request,
        began: Instant,
    ) -> Result<Answer<'_>, (Operation, Failure)> {
        let answered = self.connection.exchange(request, self.fill).await;
        let answer = answered.map_err(|failure| (operation, failure))?;
        self.recorder.took(operation, began.elapsed());
        self.recorder.acknowledge(answer.position);
        Ok(answer)
    }
}

/// The requests of a job's life in one dialect, except the claim: these are the same for all workers.
#[derive(Debug)]
pub(super) struct Requests {
    launch: Request,
    status: Option<Request>,
    append_logs: Request,
    complete: Request,
    read: Request,
    read_logs: Request,
}

impl Requests {
    /// The requests for jobs of the pipeline of `fixture`.
    pub(super) fn new(options: &BenchOptions, fixture: &Fixture) -> Self {
        let target = &fixture.target;
        let entries = entries(options.log_entries, options.entry_bytes);
        let result = json!({"success": true, "exit_code": 0, "output": null, "error_message": null});
        let (status, logs, complete) = match options.dialect {
            Dialect::A => {
                let status = json!({"status": JobStatus::Running}).to_string();
                let path = "/api/jobs/{job}/status";
                let status = Request::with_headers(target, "PUT", path, LEASE, Some(&status));
                (Some(status), format!("{{\"entries\":{entries}}}"), json!({"result": result}))
            }
            Dialect::B => (None, entries, json!({"status": JobStatus::Succeeded, "result": result})),
        };
        let launch = json!({"pipeline_id": fixture.pipeline, "parameters": {}}).to_string();
        let post = |path: &str, headers: &str, body: &str| {
            Request::with_headers(target, "POST", path, headers, Some(body))
        };
        Self {
            launch: post("/api/pipeline/launch", "", &launch),
            status,
            append_logs: post("/api/jobs/{job}/logs", LEASE_AND_OFFSET, &logs),
            complete: post("/api/jobs/{job}/complete", LEASE, &complete.to_string()),
            read: Request::new(target, "GET", "/api/jobs/{job}"),
            read_logs: Request::new(target, "GET", "/api/jobs/{job}/logs"),
        }
    }
}

fn claim(target: &Target, dialect: Dialect, runner: &str) -> Request {
    let path = match dialect {
        Dialect::A => "/api/jobs/{job}/claim",
        Dialect::B => "/api/jobs/execute/{job}",
    };
    Request::json(target, "POST", path, &json!({"runner_id": runner, "fencing": true}).to_string())
}

/// A batch of entries as a JSON array. All lines differ, as those of a real log do.
fn entries(count: u32, bytes: u32) -> String {
    let now = SystemClock.now();
    let entries = (1..=count).map(|number| {
        let mut message = format!("line {number} of {count}: ");
        let filling = (0..).map(|at: u32| char::from(b'a' + ((at * 7 + number) % 26) as u8));
        message.extend(filling.take(bytes as usize));
        message.truncate(bytes as usize);
        json!({"timestamp": now, "level": "Info", "message": message})
    });
    entries.collect::<Value>().to_string()
}
