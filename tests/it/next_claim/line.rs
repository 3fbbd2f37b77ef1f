//! Many runners that wait: each job goes to one of them, in turn, at whatever replica they wait.

use std::cell::RefCell;
use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{id, launched, new_pipeline};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::verify::list;
use rivet_tests::wait::eventually;

use super::{job_of, running, until_it_waits, until_so_many_wait};

on_both_stores! {
    each_job_goes_to_one_of_many_waiting_runners,
    who_waits_longest_is_served_first,
    a_wait_that_ends_loses_no_job,
}

async fn each_job_goes_to_one_of_many_waiting_runners(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    serve_many(&[app.client()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_job_goes_to_one_of_many_runners_that_wait_at_two_replicas() {
    let replicas = Replicas::start(&[]).await;
    serve_many(&replicas.clients()).await;
}

/// Twenty runners wait and twelve jobs come: each job is claimed once, and the other runners wait until theirs come.
async fn serve_many(replicas: &[Client]) {
    let api = &replicas[0];
    let pipeline = new_pipeline(api).await;
    let waiting = (0..20).map(|n| {
        let replica = &replicas[n % replicas.len()];
        async move { replica.claim_next(&format!("r{n}"), 50_000).await }
    });
    let launch = async {
        for n in 0..20 {
            until_it_waits(api, &format!("r{n}")).await;
        }
        let mut jobs: BTreeSet<String> =
            join_all((0..12).map(|_| launched(api, &pipeline))).await.into_iter().collect();
        eventually("twelve to be served", async || (running(api).await == 12).then_some(())).await;
        for n in 0..8 {
            jobs.insert(launched(&replicas[n % replicas.len()], &pipeline).await);
        }
        jobs
    };
    let (answers, jobs) = join(join_all(waiting), launch).await;
    let claimed: Vec<String> = answers.iter().map(|answer| job_of(&answer.expect(200))).collect();
    assert_eq!(claimed.len(), jobs.len());
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), jobs);
}

async fn who_waits_longest_is_served_first(kind: StoreKind) {
    const RUNNERS: usize = 10;
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let served = RefCell::new(Vec::new());
    let runners = (0..RUNNERS).map(|n| {
        let (api, served) = (&api, &served);
        async move {
            until_so_many_wait(api, n).await;
            api.claim_next(&format!("r{n}"), 50_000).await.expect(200);
            served.borrow_mut().push(n);
        }
    });
    let launches = async {
        until_so_many_wait(&api, RUNNERS).await;
        for n in 0..RUNNERS {
            launched(&api, &pipeline).await;
            eventually("the job to be claimed", async || (served.borrow().len() > n).then_some(())).await;
        }
    };
    join(join_all(runners), launches).await;
    assert_eq!(served.into_inner(), (0..RUNNERS).collect::<Vec<_>>());
}

/// The waits are so short that many of them end while a claim is being appended.
async fn a_wait_that_ends_loses_no_job(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let runners = (0..8).map(|n| {
        let api = &api;
        async move {
            let mut claimed = Vec::new();
            for wait in 0..40 {
                let answer = api.claim_next(&format!("r{n}"), wait % 10).await;
                if answer.status == 200 {
                    claimed.push(job_of(&answer.json()));
                }
            }
            claimed
        }
    });
    let launches = async {
        for _ in 0..40 {
            launched(&api, &pipeline).await;
        }
    };
    let (claimed, ()) = join(join_all(runners), launches).await;
    let told: BTreeSet<String> = claimed.into_iter().flatten().collect();
    let held = list(&api, "/api/jobs").await;
    let held: BTreeSet<String> = held.iter().filter(|job| job["status"] == "Running").map(id).collect();
    assert_eq!(told, held);
}
