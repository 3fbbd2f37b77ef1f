//! Requests that are repeated at another replica, where there is nothing to record any more: what the answer says is
//! in the next GET of that replica, too, however little it has heard of the first one.
//!
//! Not here: what is recorded every time (a new pipeline, a rebuild), and what is refused the second time (a removal).

use reqwest::Method;
use rivet_tests::client::{Answer, Client};
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{WEBHOOK_SECRET, entry, id, messages, new_pipeline, pipeline, success};
use serde_json::{Value, json};

/// How often all of it is done, in each direction.
const ROUNDS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_get_sees_what_was_repeated_at_its_replica() {
    let replicas = Replicas::start(&[]).await;
    let clients = replicas.clients();
    for n in 0..2 * ROUNDS {
        let pair = Pair { first: &clients[n % 2], second: &clients[(n + 1) % 2] };
        a_pipeline_changes(&pair).await;
        a_runner_appears(&pair, &format!("r{n}")).await;
        a_webhook_is_active(&pair).await;
        a_job_lives(&pair, n).await;
    }
}

struct Pair<'a> {
    /// Where a command has its effect.
    first: &'a Client,
    /// Where it is repeated, and where its effect is looked at.
    second: &'a Client,
}

impl Pair<'_> {
    /// Sends a request to both; the first answer.
    async fn both(&self, request: impl AsyncFn(&Client) -> Answer) -> Answer {
        let effect = request(self.first).await;
        self.second_after(&effect, request).await;
        effect
    }

    /// Sends a request, which finds nothing to do after this effect, to the second replica.
    async fn second_after(&self, effect: &Answer, request: impl AsyncFn(&Client) -> Answer) {
        let repeated = request(self.second).await;
        assert!(effect.status < 300 && repeated.status < 300, "{effect:?}, {repeated:?}");
        assert!(repeated.position() >= effect.position(), "{effect:?}, {repeated:?}");
    }

    /// What the second replica shows.
    async fn shown(&self, path: &str) -> Value {
        let answer = self.second.get(path).await;
        assert_eq!(answer.header("rivet-stale"), None, "{path}");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }
}

async fn a_pipeline_changes(pair: &Pair<'_>) {
    let path = format!("/api/pipeline/{}", new_pipeline(pair.first).await);
    let revised = pipeline("revised");
    pair.both(async |api| api.send(api.request(Method::PUT, &path).json(&revised)).await).await;
    assert_eq!(pair.shown(&path).await["version"], 2);
    pair.both(async |api| api.post(&format!("{path}/rollback"), &json!({"version": 1})).await).await;
    assert_eq!(pair.shown(&path).await["version"], 3);
}

async fn a_runner_appears(pair: &Pair<'_>, name: &str) {
    pair.both(async |api| api.heartbeat(name).await).await;
    pair.shown(&format!("/api/runners/{name}")).await;
    pair.both(async |api| api.register(name, &["lua"]).await).await;
    assert_eq!(pair.shown(&format!("/api/runners/{name}")).await["capabilities"], json!(["lua"]));
}

async fn a_webhook_is_active(pair: &Pair<'_>) {
    // It wants nothing that this test does.
    let body = json!({
        "url": "https://example.com/", "secret": WEBHOOK_SECRET,
        "types": ["projection.event_skipped"],
    });
    let created = pair.first.post("/api/webhooks", &body).await;
    let path = format!("/api/webhooks/{}", id(&created.expect(201)));
    pair.second_after(&created, async |api| api.post(&format!("{path}/resume"), &json!({})).await).await;
    assert_eq!(pair.shown(&path).await["status"], "active");
}

async fn a_job_lives(pair: &Pair<'_>, n: usize) {
    let key = |name: &'static str| move |api: &Client| api.with(name, &format!("key-{n}"));
    let (launching, claiming) = (key("idempotency-key"), key("rivet-request-key"));
    let pipeline = new_pipeline(pair.first).await;
    let launched = pair.both(async |api| launching(api).launch(&pipeline, &json!({})).await).await;
    let job = id(&launched.json());
    let path = format!("/api/jobs/{job}");
    assert_eq!(pair.shown(&path).await["status"], "Queued");

    let by_id = n % 4 < 2;
    let claim = async |api: &Client| {
        let api = claiming(api);
        if by_id { api.claim_fencing(&job, "r").await } else { api.claim_next("r", 10_000).await }
    };
    let claimed = pair.both(claim).await.json();
    assert_eq!(claimed["job_id"], job);
    assert_eq!(pair.shown(&path).await["status"], "Running");

    pair.both(async |api| api.holding(&claimed).set_status(&job, "Running").await).await;
    assert_eq!(pair.shown(&path).await["phase"], "started");

    let append = async |api: &Client, entries: Value| {
        api.holding(&claimed).with("rivet-log-offset", &0).append_logs(&job, &entries).await
    };
    let logged = pair.both(async |api| append(api, json!([entry("a")])).await).await;
    assert_eq!(messages(&pair.shown(&format!("{path}/logs")).await), ["a"]);
    let more = append(pair.first, json!([entry("a"), entry("b")])).await;
    assert!(more.position() > logged.position());
    pair.second_after(&more, async |api| append(api, json!([])).await).await;
    assert_eq!(messages(&pair.shown(&format!("{path}/logs")).await), ["a", "b"]);

    pair.both(async |api| api.holding(&claimed).complete(&job, &success()).await).await;
    assert_eq!(pair.shown(&path).await["status"], "Succeeded");

    let again = id(&pair.both(async |api| launching(api).retry(&job).await).await.json());
    assert_eq!(pair.shown(&format!("/api/jobs/{again}")).await["retry_of"], job);
    pair.both(async |api| api.cancel(&again).await).await;
    assert_eq!(pair.shown(&format!("/api/jobs/{again}")).await["status"], "Cancelled");
}
