//! Figures for dashboards. Read models keep all of them, so an answer costs the same however long the history is.

pub(super) mod get;
pub(super) mod history;
