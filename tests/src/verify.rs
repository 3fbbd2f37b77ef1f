//! What must hold for any server at any time: a dense log, and read models that equal a rebuild from it.

use std::collections::{BTreeMap, HashMap};

use rivet_events::database::Database;
use serde_json::Value;

use crate::client::Client;
use crate::sample::id;
use crate::store::Store;
use crate::wait::eventually;

const PAGE: usize = 1_000;
/// How often the comparison is tried: the server itself may write meanwhile, for example when it expires a lease.
const COMPARISONS: usize = 3;

/// Checks the log and the read models through the API. No client may write meanwhile.
pub async fn verify(api: &Client, store: &Store) {
    assert_dense(&events(api).await);
    for comparison in 1..=COMPARISONS {
        let head = head(api).await;
        let live = read_models(api).await;
        rebuild_all(api, store).await;
        let rebuilt = read_models(api).await;
        let is_of_a_rebuild = |event: &Value| event["stream_type"] == "projection";
        if comparison < COMPARISONS && !events_after(api, head).await.iter().all(is_of_a_rebuild) {
            continue;
        }
        for (path, live) in &live {
            assert_eq!(Some(live), rebuilt.get(path), "{path} changed with a rebuild");
        }
        assert_eq!(live.len(), rebuilt.len());
        return;
    }
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
    events_after(api, 0).await
}

async fn events_after(api: &Client, mut after: u64) -> Vec<Value> {
    let mut events = Vec::new();
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
    assert!(rebuilt.iter().all(|projection| projection["parked"] == 0), "{rebuilt:?}");
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

/// All that GETs answer from read models, by path.
async fn read_models(api: &Client) -> HashMap<String, Value> {
    let mut found = HashMap::new();
    for path in ["/api/runners", "/api/pipeline/list"] {
        for resource in list(api, path).await {
            found.insert(format!("{path}/{}", id(&resource)), resource);
        }
    }
    for mut job in list(api, "/api/jobs").await {
        let path = format!("/api/jobs/{}", id(&job));
        // Its place in the queue depends on which runners are online, and so on time.
        job.as_object_mut().expect("a job is an object").remove("waiting");
        let logs = format!("{path}/logs");
        found.insert(logs.clone(), api.get(&logs).await.expect(200));
        found.insert(path, job);
    }
    found
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
