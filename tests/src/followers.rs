//! Readers of the feed that are cut off at random, and a load of jobs for them to follow, on a server that may
//! restart.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::client::{Answer, Client};
use crate::dice::Dice;
use crate::sample::{entry, success};
use crate::sse::{EventStream, Message};

/// Time between two attempts to reach a server that is down.
const PAUSE: Duration = Duration::from_millis(20);

/// The server as its clients reach it; its address changes when it restarts.
#[derive(Debug, Clone)]
pub struct Target(Arc<Mutex<Client>>);

impl Target {
    /// A server that is reached by this client.
    pub fn new(client: Client) -> Self {
        Self(Arc::new(Mutex::new(client)))
    }

    /// From now on, the server is reached by this client.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub fn moved(&self, client: Client) {
        *self.0.lock().expect("no holder of the lock panics") = client;
    }

    /// The client that reaches the server now.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub fn client(&self) -> Client {
        self.0.lock().expect("no holder of the lock panics").clone()
    }
}

/// What a reader received.
#[derive(Debug, Default)]
pub struct Seen {
    /// The positions, in order of arrival.
    pub positions: Vec<u64>,
    /// The time of arrival of each of them.
    pub at: Vec<Instant>,
    /// How often it reconnected.
    pub returns: usize,
}

/// Reads the feed from its start to the position that `end` returns, once it returns one. The reader is cut off after
/// a number of events from 1 to `longest`, which `dice` decides, and reconnects.
pub async fn follow(target: Target, longest: u64, mut dice: Dice, end: impl Fn() -> Option<u64>) -> Seen {
    let mut seen = Seen::default();
    let mut last_id = "0".to_owned();
    while end().is_none_or(|end| seen.positions.last().is_none_or(|last| *last < end)) {
        let mut stretch = 1 + dice.roll(longest);
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

/// Runs this many lives of jobs a second, for this long, whatever happens to the server; returns the number of those
/// that were completed.
pub async fn live(target: &Target, pipeline: &str, rate: u32, duration: Duration) -> usize {
    let end = Instant::now() + duration;
    live_while(target, pipeline, rate, || Instant::now() < end).await
}

/// As [`live`], while the function returns true.
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

/// One life. It ends with the first step that fails, since the server may be down.
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
