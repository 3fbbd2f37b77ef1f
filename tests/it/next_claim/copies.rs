//! Several copies of one request: a runner repeats it under its key until it has heard the answer.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use rivet_tests::on_both_stores;
use rivet_tests::sample::{launched, new_pipeline, success};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;

use super::{job_of, running, until_it_waits, until_so_many_wait};

on_both_stores! {
    one_request_gets_one_job,
    a_repeated_request_that_finds_no_further_job_gets_the_first_answer,
    a_request_whose_lease_is_over_gets_nothing_more_under_its_key,
    the_last_copy_of_a_request_speaks_for_all,
}

async fn one_request_gets_one_job(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    for round in 0..5 {
        for _ in 0..4 {
            launched(&api, &pipeline).await;
        }
        let before = running(&api).await;
        let keyed = api.with("rivet-request-key", &format!("key-{round}"));
        let answers = join_all((0..8).map(|_| keyed.claim_next("r", 30_000))).await;
        let first = answers[0].expect(200);
        for answer in &answers {
            assert_eq!(answer.expect(200), first);
            assert_eq!(answer.position(), answers[0].position());
        }
        assert_eq!(running(&api).await, before + 1);
        // The same request gets the same answer again, although more jobs wait; another key is another request.
        assert_eq!(keyed.claim_next("r", 0).await.expect(200), first);
        let other = api.with("rivet-request-key", &format!("other-{round}")).claim_next("r", 30_000).await;
        assert_ne!(other.expect(200)["job_id"], first["job_id"]);
        // A key belongs to its runner.
        assert_ne!(keyed.claim_next("s", 30_000).await.expect(200)["job_id"], first["job_id"]);
    }
}

async fn a_repeated_request_that_finds_no_further_job_gets_the_first_answer(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let keyed = api.with("rivet-request-key", "once");
    let launch = async {
        until_it_waits(&api, "r").await;
        launched(&api, &pipeline).await
    };
    let (answers, job) = join(join_all((0..8).map(|_| keyed.claim_next("r", 12_000))), launch).await;
    let first = answers[0].expect(200);
    assert_eq!(job_of(&first), job);
    for answer in answers {
        assert_eq!(answer.expect(200), first);
    }
}

async fn a_request_whose_lease_is_over_gets_nothing_more_under_its_key(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let job = launched(&api, &pipeline).await;
    let keyed = api.with("rivet-request-key", "once");
    let claimed = keyed.claim_next("r", 12_000).await.expect(200);
    api.holding(&claimed).complete(&job, &success()).await.expect(204);
    let next = launched(&api, &pipeline).await;
    for _ in 0..2 {
        keyed.claim_next("r", 0).await.expect_refusal(409, "lease_lost");
    }
    assert_eq!(
        job_of(&api.with("rivet-request-key", "another").claim_next("r", 12_000).await.expect(200)),
        next
    );
}

/// A runner that drains repeats its request once more, without waiting. After that answer, the long poll must win
/// nothing.
async fn the_last_copy_of_a_request_speaks_for_all(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    for round in 0..5 {
        let keyed = api.with("rivet-request-key", &format!("key-{round}"));
        let last_word = async {
            until_so_many_wait(&api, 1).await;
            keyed.claim_next("r", 0).await.expect(204);
            let job = launched(&api, &pipeline).await;
            let began = Instant::now();
            assert_eq!(job_of(&api.claim_next("s", 25_000).await.expect(200)), job);
            began.elapsed()
        };
        let (long_poll, took) = join(keyed.claim_next("r", 25_000), last_word).await;
        long_poll.expect(204);
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
}
