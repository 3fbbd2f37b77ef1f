//! Readers of the feed who are cut off at random, and lives of jobs for them to follow, on a server that may restart.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::client::{Answer, Client};
use crate::sample::{entry, success};
use crate::sse::{EventStream, Message};

/// Between two attempts to reach a server that is down.
const PAUSE: Duration = Duration::from_millis(20);

/// The server as clients reach it: at another address after a restart.
#[derive(Debug, Clone)]
pub struct Target(Arc<Mutex<Client>>);

impl Target {
    /// Reached by this client.
    pub fn new(client: Client) -> Self {
        Self(Arc::new(Mutex::new(client)))
    }

    /// Reached by this client from now on.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub fn moved(&self, client: Client) {
        *self.0.lock().expect("no holder of the lock panics") = client;
    }

    /// How it is reached now.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub fn client(&self) -> Client {
        self.0.lock().expect("no holder of the lock panics").clone()
    }
}

/// What a reader saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// The positions, in order of arrival.
    pub positions: Vec<u64>,
    /// For each of them, when it came.
    pub at: Vec<Instant>,
    /// How often it came back.
    pub returns: usize,
}

/// Reads the feed from its start to the position that `end` names, once it does. It is cut off after so many events,
/// by a number from 1 to `longest` that `dice` makes, and comes back.
pub async fn follow(target: Target, longest: u64, mut dice: u64, end: impl Fn() -> Option<u64>) -> Seen {
    let mut seen = Seen::default();
    let mut last_id = "0".to_owned();
    while end().is_none_or(|end| seen.positions.last().is_none_or(|last| *last < end)) {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut stretch = 1 + (dice >> 33) % longest;
        let client = target.client().with("last-event-id", &last_id);
        let Some(mut stream) = EventStream::try_open(&client, "/api/events/stream").await else {
            sleep(PAUSE).await;
            continue;
        };
        seen.returns += 1;
        while stretch > 0
            && end().is_none_or(|end| seen.positions.last().is_none_or(|last| *last < end))
            && let Some(Message { id, .. }) = stream.next().await
        {
            seen.positions.push(id.parse().expect("the id of an event is its position"));
            seen.at.push(Instant::now());
            stretch -= 1;
        }
        last_id.clone_from(&stream.last_id);
    }
    seen
}

/// Lives so many lives of jobs a second, for so long, through whatever happens to the server; how many came to their
/// end.
pub async fn live(target: &Target, pipeline: &str, rate: u32, duration: Duration) -> usize {
    let end = Instant::now() + duration;
    live_while(target, pipeline, rate, || Instant::now() < end).await
}

/// As [`live`], for as long as it is to go on.
pub async fn live_while(target: &Target, pipeline: &str, rate: u32, goes_on: impl Fn() -> bool) -> usize {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut lives = JoinSet::new();
    while goes_on() {
        ticks.tick().await;
        let (target, pipeline) = (target.clone(), pipeline.to_owned());
        lives.spawn(async move { live_once(&target, &pipeline).await.is_some() });
    }
    lives.join_all().await.into_iter().filter(|ended| *ended).count()
}

/// One life. A step that fails is the end of it: the server may have gone.
async fn live_once(target: &Target, pipeline: &str) -> Option<()> {
    let launched =
        post(target, "/api/pipeline/launch", &json!({"pipeline_id": pipeline, "parameters": {}})).await?;
    let job = launched.json()["id"].as_str()?.to_owned();
    post(target, &format!("/api/jobs/{job}/claim"), &json!({"runner_id": "r"})).await?;
    post(target, &format!("/api/jobs/{job}/logs"), &json!([entry("at work")])).await?;
    post(target, &format!("/api/jobs/{job}/complete"), &json!({"result": success()})).await?;
    Some(())
}

async fn post(target: &Target, path: &str, body: &Value) -> Option<Answer> {
    let client = target.client();
    let answer = client.try_send(client.request(Method::POST, path).json(body)).await.ok()?;
    (answer.status < 300).then_some(answer)
}
