//! The commands of the program read what they wrote, also where a load balancer sends each request to another replica.

use std::process::{Output, Stdio};

use rivet_tests::client::Client;
use rivet_tests::sample::{failure, new_pipeline, success};
use rivet_tests::server::{Server, program};
use rivet_tests::splitting_proxy;
use rivet_tests::store::{Store, StoreKind};
use serde_json::Value;
use tokio::process::{Child, Command};

/// How often all of it is done, with the leader and with the other replica as the one that is read.
const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_sees_what_another_replica_recorded() {
    let store = Store::create(StoreKind::Postgres).await;
    let (leader, other) = (Server::start(&store, &[]).await, Server::start(&store, &[]).await);
    let api = leader.client();
    let pipeline = new_pipeline(&api).await;
    let balancers =
        [splitting_proxy::start(&leader, &other).await, splitting_proxy::start(&other, &leader).await];
    for balancer in balancers.iter().cycle().take(2 * ROUNDS) {
        for (result, code, said) in [(success(), 0, ""), (failure(), 1, "is Failed: exit code 3")] {
            let launch = spawned(balancer, &["pipeline", "launch", &pipeline, "--follow"]);
            end_next(&api, &result).await;
            let output = launch.wait_with_output().await.unwrap();
            assert_eq!(output.status.code(), Some(code), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{output:?}");
        }
        let launched = json_of(balancer, &["pipeline", "launch", &pipeline, "--json"]).await;
        let job = launched["id"].as_str().unwrap();
        assert_eq!(json_of(balancer, &["job", "cancel", job, "--json"]).await["status"], "Cancelled");
    }
}

/// Ends the job that is launched next.
async fn end_next(api: &Client, result: &Value) {
    let claimed = api.claim_next("r", 30_000).await.expect(200);
    api.holding(&claimed).complete(claimed["job_id"].as_str().unwrap(), result).await.expect(204);
}

fn spawned(server: &str, args: &[&str]) -> Child {
    let mut command = Command::new(program());
    command.args(args).env_clear().env("RIVET_SERVER", server).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program is built beside its tests")
}

async fn json_of(server: &str, args: &[&str]) -> Value {
    let output: Output = spawned(server, args).wait_with_output().await.unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}
