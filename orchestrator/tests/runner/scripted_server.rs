//! A server that speaks the runner's part of the protocol from memory, and can be told to misbehave: to lose
//! requests and answers, to be an older one, to be done with a claim, to cancel, to take a lease away.

mod fate;
mod routes;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rivet_events::id::{JobId, LeaseId, PipelineId};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

/// A listening server.
pub(crate) struct ScriptedServer {
    /// Where it listens.
    pub(crate) url: String,
    shared: Shared,
}

/// What the server does wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Misbehaviour {
    /// It has no next-claim.
    pub(crate) older: bool,
    /// It loses more than half of the requests: some before it takes them, some after.
    pub(crate) lossy: bool,
    /// What it gave to the first claim, whose answer is lost, is somebody else's when that claim comes again.
    pub(crate) first_claim_is_over: bool,
}

/// What the server knows.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    /// Jobs by id.
    pub(crate) jobs: HashMap<JobId, Job>,
    /// Whether heartbeats are refused, as a proxy with a rule of its own does.
    pub(crate) refuses_heartbeats: bool,
    /// Whether log entries are refused, in the same way.
    pub(crate) refuses_logs: bool,
    /// Whether reports are redirected to a login, as a proxy does when a session has ended.
    pub(crate) redirects: bool,
    /// Reports that were redirected.
    pub(crate) redirected: usize,
    /// What the runners registered.
    pub(crate) registrations: Vec<Value>,
    /// The runners that have left.
    pub(crate) left: Vec<String>,
    /// Keys of the claims that wait for a job.
    pub(crate) waiting: HashSet<String>,
    /// Keys of the claims that did not wish to wait: the last ones of a runner.
    pub(crate) last_claims: HashSet<String>,
    queue: VecDeque<JobId>,
    /// Key of the first claim.
    first_claim: Option<String>,
    answered: HashMap<String, Value>,
    /// How many there were, by path.
    requests: HashMap<String, usize>,
}

impl Knowledge {
    fn job(&mut self, job_id: JobId) -> &mut Job {
        self.jobs.get_mut(&job_id).expect("a known job")
    }
}

/// One job, and what was reported of it.
#[derive(Debug, Default)]
pub(crate) struct Job {
    /// How often it was claimed.
    pub(crate) claims: usize,
    /// The log's messages, with their levels.
    pub(crate) log: Vec<(String, String)>,
    /// The body of the last report.
    pub(crate) completion: Option<Value>,
    /// Reports that changed something.
    pub(crate) completions: usize,
    /// Whether the runner shall stop it.
    pub(crate) cancel: bool,
    /// Whether the lease is gone.
    pub(crate) lost: bool,
    /// Refused writes since then.
    pub(crate) refused: usize,
    lease: String,
    execution: Value,
}

/// What the handlers share.
#[derive(Debug)]
struct Inner {
    knowledge: watch::Sender<Knowledge>,
    misbehaviour: Misbehaviour,
}

type Shared = Arc<Inner>;

impl ScriptedServer {
    /// Listens on a free port, and behaves.
    pub(crate) async fn start() -> Self {
        Self::start_with(Misbehaviour::default()).await
    }

    /// Listens on a free port.
    pub(crate) async fn start_with(misbehaviour: Misbehaviour) -> Self {
        let knowledge = watch::Sender::new(Knowledge::default());
        let shared = Arc::new(Inner { knowledge, misbehaviour });
        let router = routes::router(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// Queues a job.
    pub(crate) fn launch(&self, source: &str) -> JobId {
        self.launch_with(source, &json!({}))
    }

    /// Queues a job whose claim is answered with further members.
    pub(crate) fn launch_with(&self, source: &str, members: &Value) -> JobId {
        let job_id = JobId::generate();
        self.queue(job_id, source, members);
        job_id
    }

    /// Queues the next attempt of a job, with another script. The lease of the one before is lost.
    pub(crate) fn launch_again(&self, job_id: JobId, source: &str) {
        self.queue(job_id, source, &json!({ "attempt": 2 }));
    }

    fn queue(&self, job_id: JobId, source: &str, members: &Value) {
        let mut execution = json!({
            "job_id": job_id, "pipeline_id": PipelineId::generate(), "pipeline_source": source,
            "parameters": {}, "lease_id": LeaseId::generate(), "attempt": 1,
        });
        execution
            .as_object_mut()
            .expect("an object")
            .extend(members.as_object().cloned().expect("an object"));
        let lease = execution["lease_id"].as_str().expect("a text").to_owned();
        self.change(|knowledge| {
            knowledge.jobs.insert(job_id, Job { lease, execution, ..Job::default() });
            knowledge.queue.push_back(job_id);
        });
    }

    /// Changes what the server knows.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Knowledge)) {
        self.shared.knowledge.send_modify(change);
    }

    /// Has the runner stop a job.
    pub(crate) fn cancel(&self, job_id: JobId) {
        self.change(|knowledge| knowledge.job(job_id).cancel = true);
    }

    /// Takes the lease of a job away.
    pub(crate) fn lose_lease(&self, job_id: JobId) {
        self.change(|knowledge| knowledge.job(job_id).lost = true);
    }

    /// Looks at what the server knows, as soon as there is an answer.
    pub(crate) async fn until<T>(&self, what: &str, find: impl Fn(&Knowledge) -> Option<T>) -> T {
        let mut knowledge = self.shared.knowledge.subscribe();
        let found = timeout(PATIENCE, knowledge.wait_for(|knowledge| find(knowledge).is_some())).await;
        let Ok(Ok(found)) = found else {
            panic!("never came: {what}; {:#?}", self.shared.knowledge.borrow().jobs)
        };
        find(&found).expect("just found")
    }

    /// Waits until a job has logged `held`: it runs, and has what it holds.
    pub(crate) async fn held(&self, job_id: JobId) {
        self.until("the lock", |knowledge| {
            knowledge.jobs[&job_id].log.iter().any(|(_, message)| message == "held").then_some(())
        })
        .await;
    }

    /// The report of a job's end, as soon as it is there.
    pub(crate) async fn completion(&self, job_id: JobId) -> Value {
        self.until("the end of the job", |knowledge| knowledge.jobs[&job_id].completion.clone()).await
    }

    /// The messages of a job's log at or above `Info`.
    pub(crate) fn messages(&self, job_id: JobId) -> Vec<String> {
        let knowledge = self.shared.knowledge.borrow();
        let entries = knowledge.jobs[&job_id].log.iter();
        entries.filter(|(level, _)| level != "Debug").map(|(_, message)| message.clone()).collect()
    }
}
