//! The commands of the program read what they wrote, also where a load balancer sends each request to another replica.

use rivet_tests::client::Client;
use rivet_tests::program::{client_command, finish, printed, spawn};
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{failure, new_pipeline, success};
use rivet_tests::splitting_proxy;
use serde_json::Value;

/// How often all of it is done, with the leader and with the other replica as the one that is read.
const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_sees_what_another_replica_recorded() {
    let Replicas { store: _store, one: leader, other } = Replicas::start(&[]).await;
    let api = leader.client();
    let pipeline = new_pipeline(&api).await;
    let balancers =
        [splitting_proxy::start(&leader, &other).await, splitting_proxy::start(&other, &leader).await];
    for balancer in balancers.iter().cycle().take(2 * ROUNDS) {
        for (result, code, said) in [(success(), 0, ""), (failure(), 1, "is Failed: exit code 3")] {
            let launch = spawn(&mut client_command(balancer, &["pipeline", "launch", &pipeline, "--follow"]));
            end_next(&api, &result).await;
            let output = finish(launch).await;
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

async fn json_of(server: &str, args: &[&str]) -> Value {
    let output = finish(spawn(&mut client_command(server, args))).await;
    serde_json::from_str(printed(&output)).unwrap()
}
