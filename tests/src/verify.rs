//! What must hold for any server at any time: a dense log, and read models that are what it says.

use std::collections::{BTreeMap, HashMap};

use rivet_events::database::Database;
use rivet_events::log::{self, LogSettings};
use rivet_projections::ReadModels;
use serde_json::Value;

use crate::client::Client;
use crate::store::Store;
use crate::wait::eventually;

const PAGE: usize = 1_000;

/// Checks the log through the API, and then every row of the read models, as the command `verify` does. No client may
/// write meanwhile.
pub async fn verify(api: &Client, store: &Store) {
    assert_dense(&events(api).await);
    // Answered once the read models have all that was acknowledged.
    api.get("/api/jobs?limit=1").await.expect(200);
    assert_none_parked(&projections(api).await);
    let database = Database::connect(store.url()).await.expect("a server uses it");
    let log = log::open(&database, LogSettings::default()).await.expect("a server has made it");
    let read_models = ReadModels::open(database.clone(), log).await.expect("a server has made them");
    let mut report = read_models.verify(|_| {}).await.expect("the log can be read");
    // Some tests append such events: what becomes of them is no fault.
    report.unreadable_events.clear();
    assert!(report.is_clean() && report.outdated.is_empty(), "{report:?}");
    database.close().await;
}

/// The position of the last event.
pub async fn head(api: &Client) -> u64 {
    let page = api.get("/api/events?limit=1").await.expect(200);
    page["head"].as_u64().expect("the head is a position")
}

/// The events of a type, in order of position; of many, the first thousand.
pub async fn recorded(api: &Client, event_type: &str) -> Vec<Value> {
    let page = api.get(&format!("/api/events?type={event_type}&limit={PAGE}")).await.expect(200);
    page["events"].as_array().expect("events are a list").clone()
}

/// All events, in order of position.
pub async fn events(api: &Client) -> Vec<Value> {
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = api.get(&format!("/api/events?after={after}&limit={PAGE}")).await.expect(200);
        events.extend(page["events"].as_array().expect("events are a list").iter().cloned());
        let next = page["next"].as_u64().expect("next is a position");
        if next == after || page["head"].as_u64() == Some(next) {
            return events;
        }
        after = next;
    }
}

/// Positions are 1, 2, 3, …, and so are the sequences of each stream (I2, I3).
pub fn assert_dense(events: &[Value]) {
    let mut versions: HashMap<(String, String), u64> = HashMap::new();
    for (event, position) in events.iter().zip(1_u64..) {
        assert_eq!(event["position"], position, "{event}");
        let stream = (event["stream_type"].to_string(), event["stream_id"].to_string());
        let version = versions.entry(stream).or_default();
        *version += 1;
        assert_eq!(event["sequence"], *version, "{event}");
    }
}

/// Rebuilds every read model from the log, and waits until the new ones are live.
pub async fn rebuild_all(api: &Client, store: &Store) {
    let database = Database::connect(store.url()).await.expect("a server uses it");
    let before = newest_generations(&database).await;
    assert!(!before.is_empty());
    for name in before.keys() {
        let asked = api.post(&format!("/api/projections/{name}/rebuild"), &Value::Null).await;
        assert!(asked.status < 300, "{asked:?}");
    }
    eventually("the rebuilds to begin", async || {
        let now = newest_generations(&database).await;
        before.iter().all(|(name, generation)| now.get(name) > Some(generation)).then_some(())
    })
    .await;
    database.close().await;
    let rebuilt = eventually("the read models to be rebuilt", async || {
        let projections = projections(api).await;
        let is_done = |found: &Value| found["state"] == "live" && found["position"] == found["head"];
        projections.iter().all(is_done).then_some(projections)
    })
    .await;
    assert_none_parked(&rebuilt);
}

fn assert_none_parked(projections: &[Value]) {
    assert!(projections.iter().all(|projection| projection["parked"] == 0), "{projections:?}");
}

/// The newest generation of each read model, live or not.
async fn newest_generations(database: &Database) -> BTreeMap<String, i64> {
    let newest = "select projection, max(generation) from checkpoints group by projection";
    let found: Result<Vec<(String, i64)>, sqlx::Error> = match database {
        Database::Sqlite(sqlite) => sqlx::query_as(newest).fetch_all(&sqlite.readers).await,
        Database::Postgres(postgres) => sqlx::query_as(newest).fetch_all(&postgres.pool).await,
    };
    found.expect("a server has made them").into_iter().collect()
}

async fn projections(api: &Client) -> Vec<Value> {
    let list = api.get("/api/projections").await.expect(200);
    list.as_array().expect("projections are a list").clone()
}

/// A whole list, page by page.
pub async fn list(api: &Client, path: &str) -> Vec<Value> {
    let (mut resources, mut next) = (Vec::new(), Some(format!("{path}?limit={PAGE}")));
    while let Some(path) = next {
        let page = api.get(&path).await;
        resources.extend(page.expect(200).as_array().expect("a list is one").iter().cloned());
        next = page.next_page();
    }
    resources
}
