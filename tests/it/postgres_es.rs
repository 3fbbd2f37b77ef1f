//! The log is a postgres-es event table: what any cqrs-es tool expects to find there, it finds.
