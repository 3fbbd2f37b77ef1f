//! A server that speaks the runner's part of the protocol from memory, and can be told to misbehave: to lose
//! requests and answers, to be an older one, to be done with a claim, to cancel, to take a lease away.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
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
    /// What the runners registered.
    pub(crate) registrations: Vec<Value>,
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

type Shared = Arc<(watch::Sender<Knowledge>, Misbehaviour)>;

impl ScriptedServer {
    /// Listens on a free port.
    pub(crate) async fn start(misbehaviour: Misbehaviour) -> Self {
        let shared: Shared = Arc::new((watch::Sender::new(Knowledge::default()), misbehaviour));
        let router = Router::new()
            .route("/api/runners/register", post(register))
            .route("/api/runners/{id}/heartbeat", post(heartbeat))
            .route("/api/jobs/claim", post(claim_next))
            .route("/api/jobs/scheduled", get(scheduled))
            .route("/api/jobs/{id}/claim", post(claim))
            .route("/api/jobs/{id}/status", put(status))
            .route("/api/jobs/{id}/logs", post(logs))
            .route("/api/jobs/{id}/complete", post(complete))
            .layer(middleware::from_fn_with_state(Arc::clone(&shared), lose))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// Queues a job.
    pub(crate) fn launch(&self, source: &str, parameters: &Value) -> JobId {
        self.launch_with(source, parameters, &json!({}))
    }

    /// Queues a job whose claim is answered with further members.
    pub(crate) fn launch_with(&self, source: &str, parameters: &Value, members: &Value) -> JobId {
        let job_id = JobId::generate();
        self.queue(job_id, source, parameters, members);
        job_id
    }

    /// Queues the next attempt of a job, with another script. The lease of the one before is lost.
    pub(crate) fn launch_again(&self, job_id: JobId, source: &str) {
        self.queue(job_id, source, &json!({}), &json!({ "attempt": 2 }));
    }

    fn queue(&self, job_id: JobId, source: &str, parameters: &Value, members: &Value) {
        let mut execution = json!({
            "job_id": job_id, "pipeline_id": PipelineId::generate(), "pipeline_source": source,
            "parameters": parameters, "lease_id": LeaseId::generate(), "attempt": 1,
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
        self.shared.0.send_modify(change);
    }

    /// Looks at what the server knows, as soon as there is an answer.
    pub(crate) async fn until<T>(&self, what: &str, find: impl Fn(&Knowledge) -> Option<T>) -> T {
        let mut knowledge = self.shared.0.subscribe();
        let found = timeout(PATIENCE, knowledge.wait_for(|knowledge| find(knowledge).is_some())).await;
        let Ok(Ok(found)) = found else { panic!("never came: {what}; {:#?}", self.shared.0.borrow().jobs) };
        find(&found).expect("just found")
    }

    /// The report of a job's end, as soon as it is there.
    pub(crate) async fn completion(&self, job_id: JobId) -> Value {
        self.until("the end of the job", |knowledge| knowledge.jobs[&job_id].completion.clone()).await
    }

    /// The messages of a job's log at or above `Info`.
    pub(crate) fn messages(&self, job_id: JobId) -> Vec<String> {
        let knowledge = self.shared.0.borrow();
        let entries = knowledge.jobs[&job_id].log.iter();
        entries.filter(|(level, _)| level != "Debug").map(|(_, message)| message.clone()).collect()
    }
}

/// Loses requests and answers, if told to.
async fn lose(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut fate = Fate::Answered;
    if shared.1.lossy {
        shared.0.send_modify(|knowledge| {
            let requests = knowledge.requests.entry(request.uri().path().to_owned()).or_default();
            fate = FATES[*requests % FATES.len()];
            *requests += 1;
        });
    }
    let answer = match fate {
        Fate::RequestLost => None,
        Fate::AnswerLost => {
            next.run(request).await;
            None
        }
        Fate::Answered => Some(next.run(request).await),
    };
    answer.unwrap_or_else(|| (StatusCode::BAD_GATEWAY, "lost").into_response())
}

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Fate {
    RequestLost,
    AnswerLost,
    Answered,
}

/// What becomes of one request to a path after the other. Counted over all paths, they could fall into step with who
/// asks in turns, and lose every request of one of them.
const FATES: [Fate; 7] = [
    Fate::RequestLost,
    Fate::AnswerLost,
    Fate::Answered,
    Fate::AnswerLost,
    Fate::Answered,
    Fate::Answered,
    Fate::RequestLost,
];

async fn register(State(shared): State<Shared>, Json(body): Json<Value>) -> Json<Value> {
    shared.0.send_modify(|knowledge| knowledge.registrations.push(body.clone()));
    Json(body)
}

async fn heartbeat(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    if shared.0.borrow().refuses_heartbeats {
        return StatusCode::FORBIDDEN.into_response();
    }
    let is_held = |lease| shared.0.borrow().jobs.values().any(|job| !job.lost && job.lease == lease);
    if lease(&headers).is_some_and(|lease| !is_held(lease)) {
        refusal(StatusCode::CONFLICT, "lease_lost")
    } else {
        with_cancellations(&shared, StatusCode::NO_CONTENT.into_response())
    }
}

async fn claim_next(State(shared): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if shared.1.older {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    assert_eq!(body["fencing"], true);
    let wait = Duration::from_millis(body["wait_ms"].as_u64().expect("a wait"));
    let key = request_key(&headers);
    if is_over(&shared, key) {
        return refusal(StatusCode::CONFLICT, "lease_lost");
    }
    let mut knowledge = shared.0.subscribe();
    let ready = |knowledge: &Knowledge| !knowledge.queue.is_empty() || knowledge.answered.contains_key(key);
    shared.0.send_modify(|knowledge| {
        knowledge.waiting.insert(key.to_owned());
    });
    // Whether anything came is seen below.
    let _ = timeout(wait, knowledge.wait_for(ready)).await;
    shared.0.send_modify(|knowledge| {
        knowledge.waiting.remove(key);
    });
    let given = give(&shared, key, |knowledge| {
        // The runner asks no more: what an older request of it, which is still held here, took would be lost.
        let job = if knowledge.last_claims.contains(key) { None } else { knowledge.queue.pop_front() };
        if wait.is_zero() {
            knowledge.last_claims.insert(key.to_owned());
        }
        job
    });
    given.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |job| Json(job).into_response())
}

async fn scheduled(State(shared): State<Shared>) -> Json<Value> {
    Json(shared.0.borrow().queue.iter().map(|id| json!({ "id": id })).collect())
}

async fn claim(State(shared): State<Shared>, Path(job_id): Path<JobId>, headers: HeaderMap) -> Response {
    let key = request_key(&headers);
    if is_over(&shared, key) {
        return refusal(StatusCode::NOT_FOUND, "job_not_found");
    }
    let claimed = give(&shared, key, |knowledge| {
        let place = knowledge.queue.iter().position(|id| *id == job_id)?;
        knowledge.queue.remove(place)
    });
    claimed.map_or_else(|| refusal(StatusCode::CONFLICT, "already_claimed"), |job| Json(job).into_response())
}

/// Whether a claim is the one that the server is done with, if it is told to have such a one.
fn is_over(shared: &Shared, key: &str) -> bool {
    let mut is_first = false;
    shared.0.send_modify(|knowledge| {
        is_first = knowledge.first_claim.get_or_insert_with(|| key.to_owned()) == key;
    });
    shared.1.first_claim_is_over && is_first
}

/// Gives a job to a request, or what this request got before.
fn give(shared: &Shared, key: &str, take: impl FnOnce(&mut Knowledge) -> Option<JobId>) -> Option<Value> {
    let mut given = None;
    shared.0.send_modify(|knowledge| {
        given = knowledge.answered.get(key).cloned().or_else(|| {
            let job = take(knowledge).and_then(|job_id| knowledge.jobs.get_mut(&job_id))?;
            job.claims += 1;
            let execution = job.execution.clone();
            knowledge.answered.insert(key.to_owned(), execution.clone());
            Some(execution)
        });
    });
    given
}

async fn status(State(shared): State<Shared>, Path(job_id): Path<JobId>, headers: HeaderMap) -> Response {
    write(&shared, job_id, &headers, |_| StatusCode::NO_CONTENT.into_response())
}

async fn logs(
    State(shared): State<Shared>,
    Path(job_id): Path<JobId>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let offset: usize =
        header(&headers, "Rivet-Log-Offset").and_then(|text| text.parse().ok()).expect("an offset");
    write(&shared, job_id, &headers, |job| {
        let status =
            if offset > job.log.len() { StatusCode::RANGE_NOT_SATISFIABLE } else { StatusCode::CREATED };
        if status.is_success() {
            let entries = body["entries"].as_array().expect("entries").iter();
            let entries = entries.map(|entry| (text(&entry["level"]), text(&entry["message"])));
            let new: Vec<_> = entries.skip(job.log.len() - offset).collect();
            job.log.extend(new);
        }
        (status, [("Rivet-Log-Ack", job.log.len().to_string())]).into_response()
    })
}

async fn complete(
    State(shared): State<Shared>,
    Path(job_id): Path<JobId>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    write(&shared, job_id, &headers, |job| {
        if job.completion.as_ref() != Some(&body) {
            job.completions += 1;
            job.completion = Some(body);
        }
        StatusCode::NO_CONTENT.into_response()
    })
}

/// Applies a write of the holder of a lease.
fn write(
    shared: &Shared,
    job_id: JobId,
    headers: &HeaderMap,
    apply: impl FnOnce(&mut Job) -> Response,
) -> Response {
    let mut answer = StatusCode::NOT_FOUND.into_response();
    shared.0.send_modify(|knowledge| {
        let job = knowledge.jobs.get_mut(&job_id).expect("a known job");
        answer = if job.lost || lease(headers) != Some(job.lease.as_str()) {
            job.refused += 1;
            refusal(StatusCode::CONFLICT, "lease_lost")
        } else {
            apply(job)
        };
    });
    with_cancellations(shared, answer)
}

fn with_cancellations(shared: &Shared, mut answer: Response<Body>) -> Response {
    let knowledge = shared.0.borrow();
    let ids: Vec<String> =
        knowledge.jobs.iter().filter(|(_, job)| job.cancel).map(|(id, _)| id.to_string()).collect();
    if !ids.is_empty() {
        answer.headers_mut().insert("Rivet-Cancel", ids.join(", ").parse().expect("a header"));
    }
    answer
}

fn refusal(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({ "error": code, "code": code }))).into_response()
}

fn lease(headers: &HeaderMap) -> Option<&str> {
    header(headers, "Rivet-Lease")
}

fn request_key(headers: &HeaderMap) -> &str {
    header(headers, "Rivet-Request-Key").expect("a request key")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
