//! `archive`: moves the logs of jobs that ended long ago out of the database, into compressed segments.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use clap::Args;
use indicatif::{BinaryBytes, HumanCount};
use rivet_events::Position;
use rivet_events::archive::SegmentArchived;
use rivet_events::database::Database;
use rivet_projections::Wait;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::progress::ProgressReport;
use super::store::open_all;
use crate::archive::{Archiver, ArchiverError, Retention, Step, Throttle};
use crate::clock::{Clock, SystemClock};
use crate::commands::Commands;
use crate::config::{DatabaseOptions, RetentionOptions, positive_duration};
use crate::metrics::Metrics;
use crate::telemetry::{self, LogOptions};
use crate::timeline;

/// Pause between two checks of a condition that another process has to bring about.
const WAIT: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct ArchiveOptions {
    /// How long ago a job must have ended; from --log-grace to --keep
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    older_than: Duration,

    #[command(flatten)]
    retention: RetentionOptions,

    #[command(flatten)]
    database: DatabaseOptions,
}

impl ArchiveOptions {
    /// Checks the options against each other; the error says which of them contradict.
    pub(super) fn check(&self) -> Result<(), String> {
        self.retention.check("--older-than", Some(self.older_than))
    }
}

#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
pub(super) async fn run(options: ArchiveOptions) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(&LogOptions::warnings()).map_err(anyhow::Error::from_boxed)?;
    let (database, read_models, log) = open_all(&options.database).await?;
    let archive = log.archive().cloned().context("there is no archive")?;
    archive.objects().map_err(anyhow::Error::from_boxed)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let head = log.head().await?;
    let (stop, workers) = (CancellationToken::new(), TaskTracker::new());
    let metrics = Metrics::new(clock.now());
    let commands = Commands::new(&database, Arc::clone(&log), Arc::clone(&clock), head, &metrics, &workers);
    // Events leave the log only after the read models have passed them. There may be no server that keeps those up to
    // date, so this process does it too.
    let (projecting, stopping) = (read_models.clone(), stop.clone());
    workers.spawn(async move { projecting.run(stopping).await });

    // SQLite has one writer at a time: a server gets as much time to write as the archiver takes.
    let throttle = Throttle(u32::from(matches!(database, Database::Sqlite(_))));
    let mut archiver = Archiver::new(&commands, &read_models, &archive, &*clock, throttle);
    let mut done = Totals::default();
    let before = clock.now() - TimeDelta::from_std(options.older_than)?;
    let until = timeline::last_before(&*log, before).await?;
    let mut outcome = done.archive(&mut archiver, until).await;
    if let (Ok(()), Some(keep)) = (&outcome, options.retention.keep) {
        let ended_until = clock.now() - TimeDelta::from_std(keep)?;
        outcome = done.purge(&mut archiver, Retention::of(&*log, ended_until).await?).await;
    }
    database.give_back_room().await.map_err(anyhow::Error::from_boxed)?;
    log.close().await;
    stop.cancel();
    workers.close();
    workers.wait().await;
    outcome?;
    eprintln!("{done}");
    Ok(())
}

/// What was archived and purged.
#[derive(Default)]
struct Totals {
    segments: u64,
    logs: u64,
    entries: u64,
    bytes: u64,
    raw_bytes: u64,
    purged_jobs: u64,
    /// Events of theirs, and superseded ones.
    purged_events: u64,
    /// The condition that was waited for last, so that it is printed once.
    waited_for: Option<Wait>,
}

impl Totals {
    async fn archive(&mut self, archiver: &mut Archiver<'_>, until: Position) -> Result<(), ArchiverError> {
        let from = archiver.state().await?.through;
        self.pass("archiving", from, until, async || archiver.step(until).await).await
    }

    async fn purge(
        &mut self,
        archiver: &mut Archiver<'_>,
        retention: Retention,
    ) -> Result<(), ArchiverError> {
        let from = archiver.state().await?.purged_through;
        self.pass("purging", from, retention.until, async || archiver.purge_step(retention).await).await
    }

    /// Calls `step` until there is nothing left to do.
    async fn pass(
        &mut self,
        what: &'static str,
        from: Position,
        until: Position,
        mut step: impl AsyncFnMut() -> Result<Step, ArchiverError>,
    ) -> Result<(), ArchiverError> {
        let report = ProgressReport::begin(what);
        let outcome = loop {
            match step().await {
                Ok(Step::Idle) => break Ok(()),
                Ok(step) => self.take_note(step, &report, from, until).await,
                Err(error) => break Err(error),
            }
        };
        report.end();
        outcome
    }

    async fn take_note(&mut self, step: Step, report: &ProgressReport, from: Position, until: Position) {
        let reach = |through: Position| {
            report.reach(through.0.saturating_sub(from.0), until.0.saturating_sub(from.0));
        };
        match step {
            Step::Released(segment) => {
                reach(segment.through);
                self.add(&segment);
            }
            Step::Purged { jobs, events, through } => {
                reach(through);
                self.purged_jobs += jobs;
                self.purged_events += events;
            }
            Step::Waiting(wait) => self.wait(wait).await,
            // A server beside this process, and who follows its feed, reads which jobs are purged before they are deleted.
            Step::Marked => tokio::time::sleep(WAIT).await,
            Step::Archived | Step::SegmentRemoved | Step::Idle => self.waited_for = None,
        }
    }

    fn add(&mut self, segment: &SegmentArchived) {
        self.segments += 1;
        self.logs += segment.logs;
        self.entries += segment.entries;
        self.bytes += segment.bytes;
        self.raw_bytes += segment.raw_bytes;
        self.waited_for = None;
    }

    #[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
    async fn wait(&mut self, wait: Wait) {
        if self.waited_for.replace(wait).is_none() {
            eprintln!("waiting: {wait}");
        }
        tokio::time::sleep(WAIT).await;
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "archived {} logs with {} entries in {} segments: {} of events take {}",
            HumanCount(self.logs),
            HumanCount(self.entries),
            HumanCount(self.segments),
            BinaryBytes(self.raw_bytes),
            BinaryBytes(self.bytes),
        )?;
        if self.purged_events > 0 {
            let (jobs, events) = (HumanCount(self.purged_jobs), HumanCount(self.purged_events));
            write!(f, "; purged {jobs} jobs, and {events} events in all")?;
        }
        Ok(())
    }
}
