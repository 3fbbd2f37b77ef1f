//! One job, its server, two runners and the network between them, as plain data that a checker can enumerate.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::id::LeaseId;
use rivet_events::job::{JobEvent, JobStatus};
use rivet_orchestrator::domain::job::{
    CancelJob, CompleteJob, JobCommand, JobError, JobState, RefuseReport, Report, ResultDigest, StartJob,
    TimeOutJob,
};

use super::LeaseProtocol;
use super::job::{ALLOWED, DigestedJob, RUN_TIMEOUT, at, claim, expire, lease, report};

/// Which kinds of runners there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// Claims with a request key, echoes its lease, and repeats a request until it is answered.
    Fencing,
    /// Knows no lease, and sends every message once, over a connection that is then closed: the next one when the one
    /// before was answered or given up.
    Legacy,
}

/// Whether the server compares leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    LeasesCompared,
    /// Every write is treated as if its sender echoed the current lease of the job.
    LeasesIgnored,
}

/// One step of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Action {
    /// A minute passes.
    Tick,
    Sweep,
    Cancel,
    Claim {
        runner: usize,
    },
    GiveUp {
        runner: usize,
    },
    Heartbeat {
        runner: usize,
    },
    Start {
        runner: usize,
    },
    Report {
        runner: usize,
        success: bool,
    },
    /// The message arrives; its answer may be lost. A message that never arrives is a lost one.
    Deliver {
        message: Message,
        answered: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Message {
    from: usize,
    body: Body,
}

/// A message of a runner. The lease is the one under which it works, whether or not it echoes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Body {
    Claim { request: u8 },
    Start { lease: u8 },
    Complete { lease: u8, success: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Runner {
    pub(super) phase: Phase,
    /// Number of claims requested.
    pub(super) requests: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Idle,
    Claiming,
    Working { lease: u8 },
    Reporting { lease: u8 },
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(super) struct World {
    job: DigestedJob,
    pub(super) minute: i64,
    pub(super) runners: [Runner; 2],
    /// Messages of a runner that repeats its requests are never removed: they may arrive again at any time, in any
    /// order.
    pub(super) network: BTreeSet<Message>,
    /// Claims that won, by runner and request, as the claim streams of the log keep them.
    answers: BTreeMap<(usize, u8), u8>,
    /// The leases given out.
    leases: u8,
    /// When the holder was last heard of, in seconds.
    contact: Option<i64>,
    pub(super) cancels: u8,
    /// Number of completes that ended the job.
    pub(super) completions: u8,
    /// Number of writes that were recorded although their sender did not hold the job.
    pub(super) stale_writes: u8,
    /// How the job first ended.
    pub(super) first_end: Option<(JobStatus, ResultDigest)>,
}

impl World {
    pub(super) fn with_launched_job(max_retries: u32, retry_on_runner_lost: bool) -> Self {
        Self {
            job: DigestedJob::launched(max_retries, retry_on_runner_lost),
            minute: 0,
            runners: [Runner { phase: Phase::Idle, requests: 0 }; 2],
            network: BTreeSet::new(),
            answers: BTreeMap::new(),
            leases: 0,
            contact: None,
            cancels: 0,
            completions: 0,
            stale_writes: 0,
            first_end: None,
        }
    }

    pub(super) fn job(&self) -> &DigestedJob {
        &self.job
    }

    /// Whether the runner works under the current lease of the job.
    pub(super) fn holds(&self, runner: Runner) -> bool {
        match runner.phase {
            Phase::Working { lease: own } | Phase::Reporting { lease: own } => {
                self.job.holder_lease() == Some(lease(own))
            }
            Phase::Idle | Phase::Claiming => false,
        }
    }

    pub(super) fn end(&self) -> Option<(JobStatus, ResultDigest)> {
        match self.job.state() {
            JobState::Ended(ended) => Some((ended.status, ended.result)),
            JobState::Absent | JobState::Queued(_) | JobState::Running(_) => None,
        }
    }

    /// Whether the job can make progress: if all runners fall silent, the sweeper frees or ends it, and if it is
    /// queued, a new runner can claim it.
    pub(super) fn can_go_on(&self) -> bool {
        let mut job = self.job.clone();
        if let Some(lease_id) = job.holder_lease() {
            job.handle(expire(lease_id, None, at(1_000_000))).expect("a reconciler is never refused");
        }
        match job.state() {
            JobState::Queued(queued) => {
                let due_at = queued.due_at;
                job.handle(claim(Client::Fencing, (9, 9), 99, due_at)).is_ok()
            }
            JobState::Ended(_) => true,
            JobState::Absent | JobState::Running(_) => false,
        }
    }

    pub(super) fn act(&mut self, protocol: &LeaseProtocol, action: Action) {
        let now = self.minute * 60;
        match action {
            Action::Tick => self.minute += 1,
            Action::Sweep => self.sweep(protocol, at(now + protocol.sweeper_ahead)),
            Action::Cancel => {
                self.cancels += 1;
                let last_contact = self.contact.map(at);
                let grace = Duration::from_mins(1);
                let cancel = CancelJob { reason: None, force: false, grace, last_contact, now: at(now) };
                // A job that has ended refuses this.
                self.server_handles(JobCommand::Cancel(cancel)).unwrap_or_default();
            }
            Action::Claim { runner } => {
                let request = self.runners[runner].requests;
                self.runners[runner] = Runner { phase: Phase::Claiming, requests: request + 1 };
                self.send(protocol, runner, Body::Claim { request });
            }
            Action::GiveUp { runner } => self.runners[runner].phase = Phase::Idle,
            Action::Heartbeat { runner } => {
                if self.holds(self.runners[runner]) {
                    self.hear(now);
                }
            }
            Action::Start { runner } => {
                if let Phase::Working { lease } = self.runners[runner].phase {
                    self.send(protocol, runner, Body::Start { lease });
                }
            }
            Action::Report { runner, success } => {
                if let Phase::Working { lease } = self.runners[runner].phase {
                    self.runners[runner].phase = Phase::Reporting { lease };
                    self.send(protocol, runner, Body::Complete { lease, success });
                }
            }
            Action::Deliver { message, answered } => self.deliver(protocol, message, now, answered),
        }
    }

    fn send(&mut self, protocol: &LeaseProtocol, from: usize, body: Body) {
        if protocol.runners[from] == Client::Legacy {
            self.network.retain(|message| message.from != from);
        }
        self.network.insert(Message { from, body });
    }

    fn hear(&mut self, second: i64) {
        self.contact = self.contact.max(Some(second));
    }

    fn sweep(&mut self, protocol: &LeaseProtocol, now: DateTime<Utc>) {
        if let Some(lease_id) = self.job.holder_lease() {
            let expire = expire(lease_id, self.contact.map(at), now);
            self.server_handles(expire).expect("a reconciler is never refused");
        }
        if protocol.run_timeout {
            let queue_timeout = Duration::from_hours(24);
            let time_out = TimeOutJob { queue_timeout, run_timeout: RUN_TIMEOUT, retries: ALLOWED, now };
            self.server_handles(JobCommand::TimeOut(time_out)).expect("a reconciler is never refused");
        }
    }

    fn deliver(&mut self, protocol: &LeaseProtocol, message: Message, second: i64, answered: bool) {
        let client = protocol.runners[message.from];
        if client == Client::Legacy {
            self.network.remove(&message);
        }
        let phase = match message.body {
            Body::Claim { request } => self.answer_claim(client, (message.from, request), second),
            Body::Start { lease } => {
                let echoed = self.echoed(protocol, client, lease);
                let start = JobCommand::Start(StartJob { lease: echoed, now: at(second) });
                // The runner need not react to a refusal.
                self.write(lease, start, second).unwrap_or_default();
                return;
            }
            Body::Complete { lease, success } => {
                let echoed = self.echoed(protocol, client, lease);
                self.complete(lease, echoed, report(message.from, success), second);
                Phase::Idle
            }
        };
        let runner = &mut self.runners[message.from];
        let waits = match (message.body, runner.phase) {
            (Body::Claim { request }, Phase::Claiming) => request + 1 == runner.requests,
            (Body::Complete { lease, .. }, Phase::Reporting { lease: own }) => lease == own,
            (Body::Claim { .. } | Body::Start { .. } | Body::Complete { .. }, _) => false,
        };
        // A runner that sends everything once also stops waiting at some time.
        if waits && answered {
            runner.phase = phase;
        } else if waits && client == Client::Legacy {
            runner.phase = Phase::Idle;
        }
    }

    fn answer_claim(&mut self, client: Client, request: (usize, u8), second: i64) -> Phase {
        if let Some(lease) = self.answers.get(&request) {
            return Phase::Working { lease: *lease };
        }
        let lease = self.leases + 1;
        match self.server_handles(claim(client, request, lease, at(second))) {
            Ok(_) => {
                self.leases = lease;
                self.contact = Some(second);
                if client == Client::Fencing {
                    self.answers.insert(request, lease);
                }
                Phase::Working { lease }
            }
            Err(_) => Phase::Idle,
        }
    }

    /// The lease with which the server takes a write to come.
    fn echoed(&self, protocol: &LeaseProtocol, client: Client, own: u8) -> Option<LeaseId> {
        match (protocol.guard, client) {
            (Guard::LeasesIgnored, _) => self.job.holder_lease(),
            (Guard::LeasesCompared, Client::Fencing) => Some(lease(own)),
            (Guard::LeasesCompared, Client::Legacy) => None,
        }
    }

    fn complete(&mut self, own: u8, echoed: Option<LeaseId>, report: Report, second: i64) {
        let complete =
            CompleteJob { lease: echoed, report: report.clone(), retries: ALLOWED, now: at(second) };
        let ended_before = self.end().is_some();
        let recorded = self.write(own, JobCommand::Complete(complete), second);
        if recorded.is_ok() && !ended_before && self.end().is_some() {
            self.completions += 1;
        }
        if let (Err(JobError::LeaseLost), Some(lease)) = (recorded, echoed) {
            self.server_handles(JobCommand::RefuseReport(RefuseReport { lease, report, now: at(second) }))
                .expect("a reconciler is never refused");
        }
    }

    /// A write by a runner that works under lease `own`, whatever it echoes.
    fn write(&mut self, own: u8, command: JobCommand, second: i64) -> Result<Vec<JobEvent>, JobError> {
        let holder = self.job.holder_lease();
        let recorded = self.server_handles(command);
        if let Ok(events) = &recorded {
            if !events.is_empty() && holder != Some(lease(own)) {
                self.stale_writes = 1;
            }
            if self.job.holder_lease() == Some(lease(own)) {
                self.hear(second);
            }
        }
        recorded
    }

    fn server_handles(&mut self, command: JobCommand) -> Result<Vec<JobEvent>, JobError> {
        let recorded = self.job.handle(command);
        if self.job.holder_lease().is_none() {
            self.contact = None;
        }
        if self.first_end.is_none() {
            self.first_end = self.end();
        }
        recorded
    }
}
