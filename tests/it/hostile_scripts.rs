//! Scripts that would hang, fill or leave the server: refused in time, while it goes on serving.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{id, pipeline, script};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::wait::eventually;
use serde_json::json;

/// How long a refusal may take.
const REFUSED_WITHIN: Duration = Duration::from_secs(3);
/// How long nine of ten looks at the health may take meanwhile. The tenth is left to a machine that has other tests to
/// run.
const HEALTHY_WITHIN: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(20);

on_both_stores! {
    a_script_that_hits_a_limit_is_refused_in_time,
    a_script_cannot_leave_its_sandbox,
    many_hostile_scripts_at_once_leave_room_for_others,
}

/// Each runs into a limit of time or memory.
const ENDLESS: [&str; 11] = [
    "while true do end",
    "::again:: goto again",
    "while true do pcall(error) end",
    "local function deep() return 1 + deep() end deep()",
    "local s = 'x' while true do s = s .. s end",
    "local t = {} for i = 1, math.huge do t[i] = { i } end",
    "local s = string.rep('x', 1e10)",
    "string.find(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40) .. 'b')",
    "local t = setmetatable({}, { __index = function(t, k) while true do end end }) return t.name",
    "local c = coroutine.wrap(function() while true do end end) c()",
    "table.concat(setmetatable({}, { __len = function() return 1e9 end, __index = function() return 'x' end }))",
];

async fn a_script_that_hits_a_limit_is_refused_in_time(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.create_pipeline(&json!({"script": script("warm", "")})).await.expect(200);
    let before = app.server.children();
    let mut looks = Vec::new();
    for text in ENDLESS {
        let mut named = pipeline("named");
        named["script"] = json!(text);
        for request in [json!({"script": text}), named] {
            let start = Instant::now();
            let answer = watching_health(&api, &mut looks, api.create_pipeline(&request)).await;
            assert!((400..500).contains(&answer.status), "{text}: {answer:?}");
            answer.assert_problem();
            assert!(start.elapsed() < REFUSED_WITHIN, "{text}: {:?}", start.elapsed());
        }
    }
    assert_healthy(looks);
    assert_eq!(api.get("/api/pipeline/list").await.expect(200).as_array().map(Vec::len), Some(1));
    eventually("its processes to end", async || (app.server.children() <= before).then_some(())).await;
}

/// Looks at the health again and again until `work` is done; how long each look took.
async fn watching_health<T>(api: &Client, looks: &mut Vec<Duration>, work: impl Future<Output = T>) -> T {
    let watch = async {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            let look = Instant::now();
            api.get("/api/health").await.expect(200);
            looks.push(look.elapsed());
        }
    };
    tokio::select! {
        done = work => done,
        () = watch => unreachable!("it goes on for ever"),
    }
}

fn assert_healthy(mut looks: Vec<Duration>) {
    assert!(looks.len() >= 50, "{looks:?}");
    looks.sort_unstable();
    let slowest_of_nine_tenths = looks[looks.len() * 9 / 10];
    assert!(slowest_of_nine_tenths < HEALTHY_WITHIN, "{looks:?}");
}

async fn a_script_cannot_leave_its_sandbox(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    for escape in [
        "os.execute('touch escaped')",
        "os.getenv('HOME')",
        "io.open('/etc/passwd')",
        "require('os')",
        "dofile('/etc/passwd')",
        "loadfile('/etc/passwd')",
        "debug.getregistry()",
        "package.loadlib('libc.so.6', '*')",
        "load(string.dump(function() end))()",
    ] {
        let text = format!("local found = {escape}\n{}", script("escaped", ""));
        let answer = api.create_pipeline(&json!({"script": text})).await;
        answer.assert_problem();
        answer.expect(422);
    }
    // One script leaves no trace for the next.
    let global = format!("leaked = 'yes'; string.upper = nil\n{}", script("first", ""));
    api.create_pipeline(&json!({"script": global})).await;
    let next = format!("assert(leaked == nil and string.upper)\n{}", script("second", ""));
    api.create_pipeline(&json!({"script": next})).await.expect(200);
}

async fn many_hostile_scripts_at_once_leave_room_for_others(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = id(&api.create_pipeline(&json!({"script": script("good", "")})).await.expect(200));
    let endless = json!({"script": "while true do end"});
    let hostile = join_all((0..32).map(|_| api.create_pipeline(&endless)));
    let others = async {
        for _ in 0..20 {
            let start = Instant::now();
            api.launch(&pipeline, &json!({})).await.expect(200);
            assert!(start.elapsed() < REFUSED_WITHIN, "{:?}", start.elapsed());
        }
    };
    let mut looks = Vec::new();
    let (answers, ()) = watching_health(&api, &mut looks, join(hostile, others)).await;
    assert_healthy(looks);
    for answer in answers {
        // Refused for what it is, or for want of room.
        assert!([422, 503].contains(&answer.status), "{answer:?}");
        answer.assert_problem();
    }
}
