//! The model of a job as its clients see it, by `docs/semantics.md`; no runner is silent for too long, and no
//! deadline passes.

use std::collections::VecDeque;

use rivet_tests::client::Answer;
use serde_json::{Value, json};

/// A refusal: its status and code.
pub(super) type Refusal = (u16, &'static str);

const LEASE_LOST: Refusal = (409, "lease_lost");
const NOT_RUNNING: Refusal = (409, "not_running");
/// Number of last batches in which a repetition is recognised.
const REMEMBERED: usize = 8;

#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) pipeline: usize,
    pub(super) max_retries: usize,
    pub(super) launched_at: u32,
    pub(super) due_at: u32,
    pub(super) attempts: u64,
    pub(super) state: State,
    retries: usize,
    /// The last attempt that ended.
    last: Option<Last>,
    /// Runner and key of the claims of attempts that ended.
    past_claims: Vec<(String, u8)>,
    log: Log,
}

#[derive(Debug)]
pub(super) enum State {
    Queued,
    Running(Holder),
    Ended { status: &'static str, result: Value, runner: Option<String>, was_to_stop: bool },
}

#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) runner: String,
    pub(super) lease: String,
    pub(super) fencing: bool,
    pub(super) key: Option<u8>,
    pub(super) started: bool,
    /// Whether a cancel was requested, and whether with force.
    pub(super) cancel: Option<bool>,
}

#[derive(Debug)]
struct Last {
    lease: String,
    fencing: bool,
    /// The reported result of an attempt after which the job was queued again.
    report: Option<(&'static str, Value)>,
}

#[derive(Debug, Default)]
struct Log {
    /// Attempt and message of each line.
    lines: Vec<(u64, String)>,
    recent: VecDeque<(u64, Vec<u8>)>,
}

impl Job {
    pub(super) fn launched(id: String, pipeline: usize, now: u32) -> Self {
        Self {
            id,
            pipeline,
            // Pipeline number n has `max_retries` n.
            max_retries: pipeline,
            launched_at: now,
            due_at: now,
            attempts: 0,
            state: State::Queued,
            retries: 0,
            last: None,
            past_claims: Vec::new(),
            log: Log::default(),
        }
    }

    /// Whether a claim is accepted: true if it wins, false if it repeats the claim that won.
    pub(super) fn may_claim(&self, runner: &str, key: Option<u8>, now: u32) -> Result<bool, Refusal> {
        match &self.state {
            State::Queued if self.is_past_claim(runner, key) => Err(LEASE_LOST),
            State::Queued if self.due_at > now => Err((409, "not_due")),
            State::Queued => Ok(true),
            State::Running(holder) if key.is_some() && holder.key == key && holder.runner == runner => {
                Ok(false)
            }
            State::Running(_) | State::Ended { .. } => Err((409, "already_claimed")),
        }
    }

    fn is_past_claim(&self, runner: &str, key: Option<u8>) -> bool {
        self.past_claims.iter().any(|(past_runner, past_key)| past_runner == runner && Some(*past_key) == key)
    }

    pub(super) fn claim(&mut self, holder: Holder) {
        self.attempts += 1;
        self.state = State::Running(holder);
    }

    pub(super) fn start(&mut self, lease: Option<&str>) -> Result<(), Refusal> {
        match &mut self.state {
            State::Queued => Err(self.not_held(lease)),
            State::Running(holder) => holder.show_work(lease),
            State::Ended { .. } => Err(self.ended_refusal(lease, "already_ended")),
        }
    }

    pub(super) fn finish(
        &mut self,
        lease: Option<&str>,
        status: &'static str,
        result: Value,
        now: u32,
    ) -> Result<(), Refusal> {
        let repeats = self.last.as_ref().is_some_and(|last| {
            let is_sender = lease.map_or(!last.fencing, |lease| lease == last.lease);
            is_sender && last.report.as_ref().is_some_and(|(s, r)| *s == status && *r == result)
        });
        match &mut self.state {
            State::Queued | State::Ended { .. } if repeats => return Ok(()),
            State::Queued => return Err(self.not_held(lease)),
            State::Running(_) if repeats && lease.is_some() => return Ok(()),
            State::Running(holder) => holder.show_work(lease)?,
            State::Ended { status: ended, result: known, was_to_stop, .. } => {
                let same = *ended == status || (*ended == "Cancelled" && *was_to_stop);
                let is_same = same && *known == result;
                let refusal = self.ended_refusal(lease, "already_completed");
                return if is_same && refusal != LEASE_LOST { Ok(()) } else { Err(refusal) };
            }
        }
        self.end_attempt(status, result, now);
        Ok(())
    }

    fn end_attempt(&mut self, status: &'static str, result: Value, now: u32) {
        let State::Running(holder) = std::mem::replace(&mut self.state, State::Queued) else { return };
        let goes_on = status == "Failed" && holder.cancel.is_none() && self.retries < self.max_retries;
        let report = goes_on.then(|| (status, result.clone()));
        self.past_claims.extend(holder.key.map(|key| (holder.runner.clone(), key)));
        self.last = Some(Last { lease: holder.lease, fencing: holder.fencing, report });
        if goes_on {
            self.retries += 1;
            self.due_at = now + 1;
        } else {
            let was_to_stop = holder.cancel.is_some();
            let status = if was_to_stop { "Cancelled" } else { status };
            self.state = State::Ended { status, result, runner: Some(holder.runner), was_to_stop };
        }
    }

    pub(super) fn cancel(&mut self, force: bool) -> Result<(), Refusal> {
        match &mut self.state {
            State::Queued => {
                let (status, result, runner) = ("Cancelled", Value::Null, None);
                self.state = State::Ended { status, result, runner, was_to_stop: false };
                Ok(())
            }
            State::Running(holder) => {
                holder.cancel = Some(force || holder.cancel == Some(true));
                Ok(())
            }
            State::Ended { status: "Cancelled", .. } => Ok(()),
            State::Ended { .. } => Err((409, "already_ended")),
        }
    }

    /// Appends lines, and returns how many lines of the attempt are stored then.
    pub(super) fn append(
        &mut self,
        lease: Option<&str>,
        offset: Option<u64>,
        lines: &[u8],
    ) -> Result<u64, Refusal> {
        match &mut self.state {
            State::Queued => return Err(self.not_held(lease)),
            State::Running(holder) => holder.show_work(lease)?,
            State::Ended { .. } if self.last.is_none() => return Err(NOT_RUNNING),
            State::Ended { .. } => {
                if self.ended_refusal(lease, "") == LEASE_LOST {
                    return Err(LEASE_LOST);
                }
            }
        }
        self.log.append(self.attempts, offset, lines)
    }

    fn not_held(&self, lease: Option<&str>) -> Refusal {
        let unfenced = self.last.as_ref().is_none_or(|last| !last.fencing);
        if lease.is_none() && unfenced { NOT_RUNNING } else { LEASE_LOST }
    }

    fn ended_refusal(&self, lease: Option<&str>, otherwise: &'static str) -> Refusal {
        let last = self.last.as_ref();
        let is_holder = match lease {
            Some(lease) => last.is_some_and(|last| last.lease == lease),
            None => last.is_none_or(|last| !last.fencing),
        };
        if is_holder { (409, otherwise) } else { LEASE_LOST }
    }

    /// The job as a client reads it.
    pub(super) fn body(&self, now: u32) -> Value {
        let (status, phase, runner, result) = match &self.state {
            State::Queued if self.due_at > now => ("Queued", "backoff", None, &Value::Null),
            State::Queued => ("Queued", "queued", None, &Value::Null),
            State::Running(holder) => {
                let phase = match (holder.cancel, holder.started) {
                    (Some(_), _) => "cancelling",
                    (None, true) => "started",
                    (None, false) => "claimed",
                };
                ("Running", phase, Some(&holder.runner), &Value::Null)
            }
            State::Ended { status, result, runner, .. } => (*status, "ended", runner.as_ref(), result),
        };
        json!({
            "id": self.id, "status": status, "phase": phase, "runner_id": runner, "result": result,
            "attempt": self.attempts,
        })
    }

    /// The job and its holder, if this runner is the holder.
    pub(super) fn held_by(&self, runner: &str) -> Option<(&Self, &Holder)> {
        match &self.state {
            State::Running(holder) if holder.runner == runner => Some((self, holder)),
            State::Queued | State::Running(_) | State::Ended { .. } => None,
        }
    }

    /// The lines as a client reads them.
    pub(super) fn lines(&self) -> &[(u64, String)] {
        &self.log.lines
    }
}

impl Holder {
    /// Notes the runner whose claim won with this answer.
    pub(super) fn new(runner: String, answer: &Answer, fencing: bool, key: Option<u8>) -> Self {
        let lease = answer.json()["lease_id"].as_str().unwrap_or_default().to_owned();
        Self { runner, lease, fencing, key, started: false, cancel: None }
    }

    /// A runner that sends its lease fences from then on.
    fn show_work(&mut self, lease: Option<&str>) -> Result<(), Refusal> {
        match lease {
            Some(lease) if lease != self.lease => Err(LEASE_LOST),
            None if self.fencing => Err(LEASE_LOST),
            Some(_) | None => {
                self.fencing |= lease.is_some();
                self.started = true;
                Ok(())
            }
        }
    }
}

impl Log {
    fn append(&mut self, attempt: u64, offset: Option<u64>, lines: &[u8]) -> Result<u64, Refusal> {
        let stored = |log: &Self| log.lines.iter().filter(|(of, _)| *of == attempt).count();
        let before = stored(self);
        let batch = (attempt, lines.to_vec());
        let known = match offset.map(|offset| usize::try_from(offset).unwrap()) {
            Some(offset) if offset > before => return Err((416, "log_gap")),
            Some(offset) => before - offset,
            None if self.recent.contains(&batch) => lines.len(),
            None => 0,
        };
        if known < lines.len() {
            self.lines.extend(lines[known..].iter().map(|line| (attempt, line.to_string())));
            self.recent.push_back(batch);
            if self.recent.len() > REMEMBERED {
                self.recent.pop_front();
            }
        }
        Ok(stored(self) as u64)
    }
}
