//! The load tool: runs whole lives of jobs against a server, as many as the server can take or at a given rate.
//!
//! All of it runs in one thread, so that it takes little from a server on the same machine, and no figure needs a
//! lock:
//! - `worker` runs the lives of jobs, `load` says when the next one begins;
//! - `pollers` and `followers` are idle clients beside them, `lag` samples how far the read models are behind;
//! - `recorder` gathers the figures of all of them, and `report` is made from these;
//! - `fixture` is the pipeline and the runners that a run needs on the server: created before it, deleted after it;
//! - `http` and `request` are the protocol: request bytes that are prepared once, on connections that stay open.

mod error;
mod fixture;
mod followers;
mod http;
mod lag;
mod load;
mod options;
mod pollers;
mod recorder;
pub(crate) mod report;
mod request;
mod usage;
mod worker;

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};
use tokio_util::sync::CancellationToken;

pub(crate) use self::error::BenchError;
use self::fixture::Fixture;
pub(crate) use self::followers::CATCH_UP_TIMEOUT;
use self::followers::Followers;
use self::http::Target;
use self::lag::Lag;
use self::load::{Arrivals, Load};
pub(crate) use self::options::BenchOptions;
use self::recorder::Recorder;
use self::report::{Outcome, Report};
use self::usage::Usage;

/// Pause between two reports of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// What is being done.
    pub phase: &'static str,
    /// Time since the beginning of the run.
    pub elapsed: Duration,
    /// Lives of jobs that were completed since the measurement began.
    pub lifecycles: u64,
    /// Errors since the beginning of the run.
    pub errors: u64,
}

/// Loads a server as the options say, until they are met or `stop` is cancelled, and returns the report. Blocks its
/// thread, on which it has an async runtime of its own.
///
/// # Errors
/// Where the load cannot begin: the server is not there, or does not let a pipeline be created.
pub(crate) fn run(
    options: BenchOptions,
    on_progress: impl FnMut(Progress) + 'static,
    stop: &CancellationToken,
) -> Result<Report, BenchError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BenchError::NoRuntime)?;
    LocalSet::new().block_on(&runtime, Bench::new(options, stop.clone()).run(on_progress))
}

/// One run.
struct Bench {
    options: Rc<BenchOptions>,
    recorder: Rc<Recorder>,
    /// Cancelled to end the load.
    stop: CancellationToken,
    /// Cancelled to end what runs beside the load.
    end: CancellationToken,
}

impl Bench {
    fn new(options: BenchOptions, stop: CancellationToken) -> Self {
        let recorder = Rc::new(Recorder::new());
        Self { options: Rc::new(options), recorder, stop, end: CancellationToken::new() }
    }

    async fn run(self, on_progress: impl FnMut(Progress) + 'static) -> Result<Report, BenchError> {
        let target = Rc::new(Target::resolve(&self.options.server.shown()).await?);
        // A process that does not exist is an error before the load, and not after it.
        self.options.pid.map(Usage::of_process).transpose()?;
        let fixture = Fixture::create(&self.options, &target).await?;
        let mut beside = JoinSet::new();
        beside.spawn_local(report_progress(Rc::clone(&self.recorder), on_progress, self.end.clone()));
        let followers = Followers::connect(&self.options, &target, &self.recorder, &self.end).await;
        pollers::start(&self.options, &fixture, &self.recorder, &self.end, &mut beside);

        let mut load = Load::new(&self.options, &fixture, &self.recorder, followers.job_under_way());
        let arrivals = load.start(&self.stop);
        let measured = self.measure(&target, load, &arrivals).await;

        self.recorder.enter("finishing");
        let followed = followers.finish(self.recorder.acknowledged()).await;
        self.end.cancel();
        while beside.join_next().await.is_some() {}
        let left_behind = fixture.delete().await;
        Ok(report::compile(&self, Outcome { arrivals, measured, followed, left_behind }))
    }

    /// Measures from the end of the warm-up to the end of the load.
    async fn measure(&self, target: &Rc<Target>, mut load: Load, arrivals: &Arrivals) -> Measured {
        self.recorder.enter("warming up");
        if let Some(warm_up) = self.options.warm_up() {
            let _ = tokio::time::timeout(warm_up, self.stop.cancelled()).await;
        }
        self.recorder.begin();
        let lag = Rc::new(Lag::new());
        let mut watch = JoinSet::new();
        watch.spawn_local(Rc::clone(&lag).sample(Rc::clone(target)));
        let (began, own, server) = (Instant::now(), Usage::own(), self.server_usage());

        let limit = self.options.time_limit();
        let over = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => load.join().await,
            }
        };
        let interrupted = self.stop.run_until_cancelled(over).await.is_none();
        arrivals.close();
        self.recorder.end();
        let measured = Measured {
            elapsed: began.elapsed(),
            interrupted,
            own: Usage::own().since(&own),
            server: self.server_usage().zip(server).map(|(now, then)| now.since(&then)),
            lag,
        };
        watch.shutdown().await;
        self.recorder.enter("finishing");
        load.join().await;
        measured
    }

    /// `None` also where the process has ended meanwhile, which shows in the errors.
    fn server_usage(&self) -> Option<Usage> {
        self.options.pid.and_then(|pid| Usage::of_process(pid).ok())
    }
}

/// What was measured beside the figures of the recorder.
struct Measured {
    elapsed: Duration,
    interrupted: bool,
    own: Usage,
    server: Option<Usage>,
    lag: Rc<Lag>,
}

async fn report_progress(
    recorder: Rc<Recorder>,
    mut on_progress: impl FnMut(Progress),
    end: CancellationToken,
) {
    let mut interval = tokio::time::interval(PROGRESS_INTERVAL);
    while end.run_until_cancelled(interval.tick()).await.is_some() {
        on_progress(recorder.progress());
    }
}
