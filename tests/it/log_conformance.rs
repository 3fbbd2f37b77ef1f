//! Conformance tests that every implementation of the log must pass.

/// Makes three tests of each rule, which is an `async fn(Place)`.
macro_rules! on_every_log {
    ($($rule:ident),+ $(,)?) => {
        on_every_log! { memory, super::Place::Memory; $($rule),+ }
        on_every_log! { sqlite, super::Place::of(rivet_tests::store::StoreKind::Sqlite).await; $($rule),+ }
        on_every_log! { postgres, super::Place::of(rivet_tests::store::StoreKind::Postgres).await; $($rule),+ }
    };
    ($log:ident, $place:expr; $($rule:ident),+) => {
        mod $log {
            $(#[tokio::test] async fn $rule() { super::$rule($place).await; })+
        }
    };
}

mod appends;
mod failover;
mod fixture;
mod large_events;
mod order;
mod queue;
mod reads;
mod refused;
mod replicas;
