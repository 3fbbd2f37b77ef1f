//! The Rivet orchestrator.

pub mod definition;
/// Pure rules.
pub mod domain {
    /// Rules of pipelines.
    pub mod pipeline {
        pub mod parameters;
    }
}
pub mod stubs;
