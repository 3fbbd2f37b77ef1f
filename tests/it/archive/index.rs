//! The index of the archive: it says which block of which segment holds a log.

use rivet_tests::on_both_stores;
use rivet_tests::program::complaint;
use rivet_tests::store::StoreKind;
use serde_json::{Value, json};

use super::place::{Place, assert_archived, new_logged_job};

/// Damages the index: it promises one event more than each log has.
const LONGER: &str = "update archived_logs set last_sequence = last_sequence + 1";

on_both_stores! { a_verification_compares_the_index_with_the_segments }

async fn a_verification_compares_the_index_with_the_segments(kind: StoreKind) {
    let place = Place::new(kind).await;
    let server = place.server(&[]).await;
    let client = server.client();
    let (job, other) = (new_logged_job(&client, 2).await, new_logged_job(&client, 3).await);
    assert_archived(&place.archive().await, "archived 2 logs");
    server.terminate().await;
    place.store.execute("create table kept_logs as select * from archived_logs").await;
    place.store.execute("create table kept_segments as select * from archive_segments").await;

    let missing = |job: &str, events: usize| {
        format!("lacks events 1 to {events} of job_log/{job}, from entry 1 on, in ")
    };
    let wrong = |job: &str, events: usize| missing(job, events).replacen("lacks", "should not have", 1);
    let (both_missing, one_missing) = (vec![missing(&job, 2), missing(&other, 3)], vec![missing(&job, 2)]);
    let shifted = [vec![wrong(&job, 2), wrong(&other, 3)], both_missing.clone()].concat();
    let longer = [vec![wrong(&job, 3), wrong(&other, 4)], both_missing.clone()].concat();
    for (damage, expected) in [
        (format!("delete from archived_logs where job_id = '{job}'"), &one_missing),
        ("update archived_logs set block_offset = block_offset + 7".to_owned(), &shifted),
        (LONGER.to_owned(), &longer),
        ("delete from archive_segments".to_owned(), &both_missing),
        ("update archive_segments set object = 'another'".to_owned(), &both_missing),
    ] {
        place.store.execute(&damage).await;
        let verified = place.run(&["verify", "--json"]).await;
        assert_eq!(verified.status.code(), Some(1), "{damage}: {verified:?}");
        let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
        let faults = report["log_faults"].as_array().unwrap();
        assert_eq!(
            (faults.len(), &report["differences"]),
            (expected.len(), &json!([])),
            "{damage}: {faults:?}"
        );
        for expected in expected {
            let expected = format!("the index of segment 1 {expected}");
            assert!(
                faults.iter().any(|fault| fault.as_str().unwrap().starts_with(&expected)),
                "{damage}: {faults:?}"
            );
        }
        place
            .store
            .execute("delete from archived_logs; insert into archived_logs select * from kept_logs")
            .await;
        place
            .store
            .execute("delete from archive_segments; insert into archive_segments select * from kept_segments")
            .await;
        place.assert_proven().await;
    }

    place.store.execute(LONGER).await;
    let log = format!("job_log/{job}");
    let why = complaint(&place.run(&["replay", &log]).await, 1).to_owned();
    assert!(why.contains(&format!("no event of {log} after number 2")), "{why}");
}
