//! What is asked of a job.

use rivet_events::runner::Capabilities;

use super::*;

pub(super) fn success() -> Report {
    Report { status: JobStatus::Succeeded, result: Some(result(0)) }
}

pub(super) fn failure() -> Report {
    Report { status: JobStatus::Failed, result: Some(result(1)) }
}

pub(super) fn claim(attempt: u32, second: i64) -> ClaimJob {
    ClaimJob {
        runner_id: runner(attempt),
        capabilities: Capabilities::default(),
        lease_id: lease(attempt),
        fencing: true,
        request_key: None,
        has_place: false,
        now: at(second),
    }
}

pub(super) fn start(lease: Option<LeaseId>, second: i64) -> JobCommand {
    JobCommand::Start(StartJob { lease, now: at(second) })
}

pub(super) fn show_lease(attempt: u32, second: i64) -> JobCommand {
    JobCommand::ShowLease(ShowLease { lease: lease(attempt), now: at(second) })
}

pub(super) fn complete(lease: Option<LeaseId>, report: Report, second: i64) -> JobCommand {
    JobCommand::Complete(CompleteJob { lease, report, retries: ALLOWED, now: at(second) })
}

pub(super) fn refuse(attempt: u32, second: i64) -> JobCommand {
    JobCommand::RefuseReport(RefuseReport { lease: lease(attempt), report: success(), now: at(second) })
}

/// A cancel while the holder was last heard of at second 10.
pub(super) fn cancel(second: i64) -> CancelJob {
    CancelJob {
        reason: Some("unwanted".to_owned()),
        force: false,
        grace: Duration::from_mins(1),
        last_contact: Some(at(10)),
        now: at(second),
    }
}

pub(super) fn expire(attempt: u32, second: i64) -> ExpireLease {
    ExpireLease {
        lease_id: lease(attempt),
        last_contact: None,
        rebooted: false,
        policy: POLICY,
        retries: ALLOWED,
        now: at(second),
    }
}

pub(super) fn time_out(second: i64) -> JobCommand {
    JobCommand::TimeOut(TimeOutJob {
        queue_timeout: Duration::from_hours(24),
        run_timeout: Duration::from_hours(1),
        retries: ALLOWED,
        now: at(second),
    })
}

macro_rules! command_from {
    ($($command:ident($payload:ident)),+) => {$(
        impl From<$payload> for JobCommand {
            fn from(payload: $payload) -> Self {
                Self::$command(payload)
            }
        }
    )+};
}

command_from!(Launch(LaunchJob), Claim(ClaimJob), Cancel(CancelJob), ExpireLease(ExpireLease));

/// One command of each kind, as if from somebody who holds no lease.
pub(super) fn every_command(second: i64) -> Vec<JobCommand> {
    vec![
        LaunchJob { launch: Box::new(launch()) }.into(),
        claim(9, second).into(),
        start(None, second),
        show_lease(9, second),
        complete(None, success(), second),
        refuse(9, second),
        cancel(second).into(),
        expire(9, second).into(),
        time_out(second),
    ]
}
