//! What must hold of any server at any time: a dense log, and read models that equal a rebuild from it.

use std::collections::HashMap;

use serde_json::Value;

use crate::client::Client;
use crate::sample::id;
use crate::wait::eventually;

const PAGE: usize = 1_000;

/// Checks the log and the read models through the API. Nothing else may write meanwhile.
pub async fn verify(api: &Client) {
    assert_dense(&events(api).await);
    let live = read_models(api).await;
    rebuild_all(api).await;
    let rebuilt = read_models(api).await;
    for (path, live) in &live {
        assert_eq!(Some(live), rebuilt.get(path), "{path} changed with a rebuild");
    }
    assert_eq!(live.len(), rebuilt.len());
}

/// Every event there is, in order of position.
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

/// Builds every read model anew from the log, and waits until it serves.
pub async fn rebuild_all(api: &Client) {
    let names: Vec<String> =
        projections(api).await.iter().map(|projection| text(projection, "name")).collect();
    assert!(!names.is_empty());
    for name in &names {
        let asked = api.post(&format!("/api/projections/{name}/rebuild"), &Value::Null).await;
        assert!(asked.status < 300, "{asked:?}");
    }
    eventually("the read models to be rebuilt", async || {
        let projections = projections(api).await;
        let is_done = |found: &Value| found["state"] == "live" && found["position"] == found["head"];
        projections.iter().all(is_done).then_some(())
    })
    .await;
    assert!(projections(api).await.iter().all(|projection| projection["parked"] == 0));
}

async fn projections(api: &Client) -> Vec<Value> {
    let list = api.get("/api/projections").await.expect(200);
    list.as_array().expect("projections are a list").clone()
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}")).to_owned()
}

/// Everything that GETs answer from read models, by path.
async fn read_models(api: &Client) -> HashMap<String, Value> {
    let mut found = HashMap::new();
    for path in ["/api/runners", "/api/pipeline/list"] {
        for resource in list(api, path).await {
            found.insert(format!("{path}/{}", id(&resource)), resource);
        }
    }
    for mut job in list(api, "/api/jobs").await {
        let path = format!("/api/jobs/{}", id(&job));
        // Where it stands in the queue depends on who is online, which is a matter of time.
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
