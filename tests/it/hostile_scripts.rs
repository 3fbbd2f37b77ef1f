//! Scripts that try to block the server, to exhaust its memory, or to reach outside: they are refused, and the server
//! goes on serving. What takes them long is the scripts, not the database, so one database is enough.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{join, join_all};
use rivet_tests::client::Client;
use rivet_tests::sample::{id, pipeline, script};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::wait::eventually;
use serde_json::json;
use tokio::time::timeout;

/// Number of health checks that must be answered while scripts are being read.
const LOOKS: usize = 10;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Clients that send one hostile script after the other.
const ATTACKERS: usize = 32;
/// Number of launches by other clients meanwhile.
const LAUNCHES: usize = 20;
/// How long these launches may take. Generous: only a server that is blocked takes this long.
const PATIENCE: Duration = Duration::from_mins(2);

/// Scripts that each run into a limit of time or memory.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_hits_a_limit_is_refused() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let api = app.client();
    api.create_pipeline(&json!({"script": script("warm", "")})).await.expect(200);
    let before = app.server.children();
    let looks = Cell::new(0);
    for text in ENDLESS {
        let mut named = pipeline("named");
        named["script"] = json!(text);
        for request in [json!({"script": text}), named] {
            let answer = watching_health(&api, &looks, api.create_pipeline(&request)).await;
            assert!((400..500).contains(&answer.status), "{text}: {answer:?}");
            answer.assert_problem();
        }
    }
    let endless = json!({"script": ENDLESS[0]});
    eventually("answers while a script is being read", async || {
        let is_enough = looks.get() >= LOOKS;
        if !is_enough {
            watching_health(&api, &looks, api.create_pipeline(&endless)).await;
        }
        is_enough.then_some(())
    })
    .await;
    assert_eq!(api.get("/api/pipeline/list").await.expect(200).as_array().map(Vec::len), Some(1));
    eventually("its processes to end", async || (app.server.children() <= before).then_some(())).await;
}

/// Checks the health again and again until `work` is done, and counts the checks that were answered.
async fn watching_health<T>(api: &Client, looks: &Cell<usize>, work: impl Future<Output = T>) -> T {
    let watch = async {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            api.get("/api/health").await.expect(200);
            looks.set(looks.get() + 1);
        }
    };
    tokio::select! {
        done = work => done,
        () = watch => unreachable!("it goes on for ever"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_cannot_leave_its_sandbox() {
    let app = TestApp::start(StoreKind::Sqlite).await;
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
    // A script cannot change anything for the next one.
    let global = format!("leaked = 'yes'; string.upper = nil\n{}", script("first", ""));
    api.create_pipeline(&json!({"script": global})).await;
    let next = format!("assert(leaked == nil and string.upper)\n{}", script("second", ""));
    api.create_pipeline(&json!({"script": next})).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_hostile_scripts_at_once_leave_room_for_others() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let api = app.client();
    let before = app.server.children();
    let pipeline = id(&api.create_pipeline(&json!({"script": script("good", "")})).await.expect(200));
    let (refusals, are_served) = (Cell::new(0), Cell::new(false));
    let endless = json!({"script": "while true do end"});
    let attack = async || {
        while !are_served.get() {
            let answer = api.post("/api/pipeline/create", &endless).await;
            // The script is refused for its time limit, or because there is no free place to read it.
            assert!([422, 503].contains(&answer.status), "{answer:?}");
            answer.assert_problem();
            refusals.set(refusals.get() + 1);
        }
    };
    let others = async {
        eventually("the attack to be under way", async || (refusals.get() > 0).then_some(())).await;
        let served = async {
            for _ in 0..LAUNCHES {
                api.launch(&pipeline, &json!({})).await.expect(200);
                api.get("/api/health").await.expect(200);
            }
        };
        timeout(PATIENCE, served).await.expect("there is room for others");
        are_served.set(true);
    };
    join(join_all((0..ATTACKERS).map(|_| attack())), others).await;
    eventually("its processes to end", async || (app.server.children() <= before).then_some(())).await;
}
