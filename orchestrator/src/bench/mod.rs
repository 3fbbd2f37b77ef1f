//! The load tool: whole lives of jobs against a running server, as many as it takes or as fast as is asked.
//!
//! All of it runs in one thread, so that it takes little from a server on the same machine, and no figure needs a lock:
//! - `worker` leads jobs through their life, `load` says when the next one begins;
//! - `pollers` and `followers` are what idles beside them, `lag` watches the read models;
//! - `recorder` is where all of them leave their figures, and `report` what becomes of these;
//! - `stage` is what a run needs on the server, and takes away again;
//! - `http` and `request` are the wire: bytes that were prepared once, on connections that stay open.

mod error;
mod followers;
mod frames;
mod http;
mod lag;
mod load;
mod options;
mod pollers;
mod recorder;
pub mod report;
mod request;
mod stage;
mod usage;
mod worker;

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};
use tokio_util::sync::CancellationToken;

pub use self::error::BenchError;
use self::followers::Followers;
pub use self::followers::PATIENCE;
use self::http::Target;
use self::lag::Lag;
use self::load::{Arrivals, Load};
pub use self::options::{BenchOptions, Dialect};
use self::recorder::Recorder;
use self::report::Report;
use self::stage::Stage;
use self::usage::Usage;

/// Between two signs of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What goes on.
    pub phase: &'static str,
    /// Since the beginning of the load.
    pub elapsed: Duration,
    /// Lives of jobs that ended well since the figures count.
    pub lifecycles: u64,
    /// What went wrong, ever.
    pub errors: u64,
}

/// Loads a server as the options say, until they are met or `stop` is cancelled, and tells what came of it. Blocks its
/// thread; connections and timers are its own.
///
/// # Errors
/// Where no load came about: the server is not there, or does not let a pipeline be made.
pub fn run(
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
    /// No more load.
    stop: CancellationToken,
    /// What is beside the load ends, too.
    end: CancellationToken,
}

impl Bench {
    fn new(options: BenchOptions, stop: CancellationToken) -> Self {
        let recorder = Rc::new(Recorder::new());
        Self { options: Rc::new(options), recorder, stop, end: CancellationToken::new() }
    }

    async fn run(self, on_progress: impl FnMut(Progress) + 'static) -> Result<Report, BenchError> {
        let target = Rc::new(Target::resolve(&self.options.server).await?);
        // A process that is not there is found before the load, and not after it.
        self.options.pid.map(Usage::of_process).transpose()?;
        let stage = Stage::set(&self.options, &target).await?;
        let mut beside = JoinSet::new();
        beside.spawn_local(tell(Rc::clone(&self.recorder), on_progress, self.end.clone()));
        let followers = Followers::connect(&self.options, &target, &self.recorder, &self.end).await;
        pollers::start(&self.options, &stage, &self.recorder, &self.end, &mut beside);

        let mut load = Load::new(&self.options, &stage, &self.recorder, followers.job_under_way());
        let arrivals = load.start(&self.stop);
        let measured = self.measure(&target, load, &arrivals).await;

        self.recorder.enter("finishing");
        let followed = followers.finish(self.recorder.acknowledged()).await;
        self.end.cancel();
        while beside.join_next().await.is_some() {}
        let left_behind = stage.clear().await;
        Ok(report::compile(&self.options, &self.recorder, &arrivals, &measured, &followed, left_behind))
    }

    /// Lets the figures count from the end of the warm-up to the end of the load.
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

    /// None as well where it has ended meanwhile: the errors tell of that.
    fn server_usage(&self) -> Option<Usage> {
        self.options.pid.and_then(|pid| Usage::of_process(pid).ok())
    }
}

/// What was seen of the time that counts.
struct Measured {
    elapsed: Duration,
    interrupted: bool,
    own: Usage,
    server: Option<Usage>,
    lag: Rc<Lag>,
}

async fn tell(recorder: Rc<Recorder>, mut on_progress: impl FnMut(Progress), end: CancellationToken) {
    let mut interval = tokio::time::interval(PROGRESS_INTERVAL);
    while end.run_until_cancelled(interval.tick()).await.is_some() {
        on_progress(recorder.progress());
    }
}
