//! The rules of a concurrency group, as given, when, then.

use chrono::{DateTime, Utc};
use rivet_events::group::{GroupEvent, GroupPlaceFreed, GroupPlaceTaken};
use uuid::Uuid;

use super::{GroupCommand, GroupError, GroupState, Place, TakePlace};
use crate::domain::spec::given;

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn place(n: u128) -> Place {
    Place { job_id: Uuid::from_u128(n).into(), lease_id: Uuid::from_u128(100 + n).into() }
}

fn taken(n: u128) -> GroupEvent {
    let Place { job_id, lease_id } = place(n);
    let group = "deploy".to_owned();
    GroupEvent::PlaceTaken(GroupPlaceTaken { group, job_id, lease_id, taken_at: NOW, places: None })
}

fn taken_whole(n: u128, places: &[u128]) -> GroupEvent {
    let GroupEvent::PlaceTaken(taken) = taken(n) else { unreachable!() };
    let places = Some(places.iter().map(|n| place(*n)).collect());
    GroupEvent::PlaceTaken(GroupPlaceTaken { places, ..taken })
}

fn freed(n: u128) -> GroupEvent {
    let Place { job_id, lease_id } = place(n);
    GroupEvent::PlaceFreed(GroupPlaceFreed { group: "deploy".to_owned(), job_id, lease_id, freed_at: NOW })
}

fn take(n: u128, limit: u32, ended: &[u128]) -> GroupCommand {
    GroupCommand::TakePlace(TakePlace {
        group: "deploy".to_owned(),
        place: place(n),
        limit,
        ended: ended.iter().map(|n| place(*n)).collect(),
        now: NOW,
    })
}

fn full(limit: u32) -> GroupError {
    GroupError::Full { group: "deploy".to_owned(), limit }
}

#[test]
fn an_empty_group_has_a_place() {
    given::<GroupState>([]).when(take(1, 1, &[])).then([taken(1)]);
}

#[test]
fn a_full_group_has_none() {
    given::<GroupState>([taken(1)]).when(take(2, 1, &[])).then_refused(full(1));
    given::<GroupState>([taken(1), taken(2)]).when(take(3, 2, &[])).then_refused(full(2));
    given::<GroupState>([taken(1)]).when(take(2, 2, &[])).then([taken(2)]);
}

#[test]
fn the_place_of_a_lease_that_ended_is_given_on() {
    given::<GroupState>([taken(1)]).when(take(2, 1, &[1])).then([freed(1), taken(2)]);
    given::<GroupState>([taken(1), freed(1), taken(2)]).when(take(3, 1, &[])).then_refused(full(1));
}

#[test]
fn the_end_of_a_stranger_frees_nothing() {
    given::<GroupState>([taken(1)]).when(take(3, 1, &[2])).then_refused(full(1));
}

#[test]
fn a_smaller_limit_holds_for_the_jobs_that_were_launched_with_it() {
    given::<GroupState>([taken(1), taken(2)]).when(take(3, 1, &[1])).then_refused(full(1));
}

#[test]
fn now_and_then_all_places_are_listed() {
    let mut events = vec![taken(1)];
    events.extend((2..=32).flat_map(|n| [taken(n), freed(n)]));
    given::<GroupState>(events.clone()).when(take(33, 2, &[])).then([taken(33)]);
    events.push(taken(33));
    given::<GroupState>(events.clone()).when(take(34, 2, &[33])).then([freed(33), taken_whole(34, &[1, 34])]);
    events.extend([freed(33), taken_whole(34, &[1, 34])]);
    given::<GroupState>(events).when(take(35, 2, &[34])).then([freed(34), taken(35)]);
}

#[test]
fn what_went_before_a_list_of_all_places_does_not_matter() {
    given::<GroupState>([taken_whole(34, &[1, 34])]).when(take(35, 2, &[])).then_refused(full(2));
    given::<GroupState>([taken_whole(34, &[1, 34])]).when(take(35, 2, &[1])).then([freed(1), taken(35)]);
}
