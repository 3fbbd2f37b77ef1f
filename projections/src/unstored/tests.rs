use super::*;
use crate::checkpoint::State;
use crate::projection::ALL;

fn checkpoints() -> [Checkpoint; 1] {
    [Checkpoint { projection: ALL[0], generation: 1, version: 1, state: State::Live, position: Position(0) }]
}

/// A batch that writes these rows, and deletes those.
fn put(unstored: &Unstored, to: u64, upserts: &[&str], deletes: &[&str]) {
    let upsert = |key: &&str| Upsert { key: (*key).to_owned(), document: format!("{key} at {to}").into() };
    let changes = Changes {
        upserts: upserts.iter().map(upsert).collect(),
        deletes: deletes.iter().map(|key| (*key).to_owned()).collect(),
        parked: Vec::new(),
    };
    unstored.put(&checkpoints(), vec![changes], Position(to));
}

/// The documents to store, and the keys to delete.
fn to_store(unstored: &Unstored) -> (Vec<String>, Vec<String>) {
    let changes = unstored.copied(&checkpoints()).remove(0);
    (changes.upserts.into_iter().map(|upsert| upsert.document.to_string()).collect(), changes.deletes)
}

/// The documents from the key `a` on.
fn documents(unstored: &Unstored, to: &str, position: u64) -> Option<Vec<Option<Arc<str>>>> {
    unstored.documents(&checkpoints()[0].table(), "a"..=to, Position(position))
}

#[test]
fn a_row_is_told_up_to_what_is_folded_and_no_further() {
    let unstored = Unstored::default();
    put(&unstored, 2, &["a"], &[]);
    put(&unstored, 4, &["a", "c"], &["b"]);
    assert_eq!(documents(&unstored, "a", 4), Some(vec![Some("a at 4".into())]));
    assert_eq!(documents(&unstored, "b", 3), Some(vec![Some("a at 4".into()), None]));
    assert_eq!(documents(&unstored, "a", 5), None);
    assert_eq!(unstored.documents("jobs_g7", "a"..="a", Position(1)), None);
    unstored.clear();
    assert_eq!(documents(&unstored, "a", 1), None);
}

#[test]
fn a_row_that_changes_again_is_stored_once() {
    let unstored = Unstored::default();
    put(&unstored, 2, &["a", "b"], &[]);
    put(&unstored, 4, &["a"], &["b"]);
    assert_eq!(to_store(&unstored), (vec!["a at 4".to_owned()], vec!["b".to_owned()]));
}

#[test]
fn of_a_row_that_came_and_went_no_document_is_kept() {
    let unstored = Unstored::default();
    put(&unstored, 2, &["a", "b"], &[]);
    put(&unstored, 3, &["b"], &[]);
    put(&unstored, 4, &[], &["a", "b"]);
    assert_eq!(to_store(&unstored), (vec![], vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(unstored.bytes(), 0);
}

#[test]
fn a_row_that_goes_while_it_is_stored_is_deleted_after() {
    let unstored = Unstored::default();
    put(&unstored, 2, &["a"], &[]);
    assert_eq!(to_store(&unstored).0, ["a at 2"]);
    put(&unstored, 3, &["a"], &[]);
    put(&unstored, 4, &[], &["a"]);
    unstored.stored(Position(2));
    assert_eq!(to_store(&unstored), (vec![], vec!["a".to_owned()]));
}

#[test]
fn what_is_stored_leaves_and_what_changed_meanwhile_stays() {
    let unstored = Unstored::default();
    put(&unstored, 2, &["a", "b"], &[]);
    to_store(&unstored);
    put(&unstored, 3, &["b"], &[]);
    unstored.stored(Position(2));
    assert_eq!(documents(&unstored, "a", 3), Some(vec![]));
    assert_eq!(unstored.bytes(), "b at 3".len());
    assert_eq!(to_store(&unstored).0, ["b at 3"]);
}
