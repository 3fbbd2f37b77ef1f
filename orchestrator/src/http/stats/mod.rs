//! Figures for dashboards, all of them kept by read models: an answer costs the same however long the history is.

pub(super) mod get;
pub(super) mod history;
