//! Jobs: launching, offering and claiming them; reports and logs of their runners; reading, cancelling and repeating
//! them.

pub(super) mod append_logs;
mod body;
pub(super) mod cancel;
pub(super) mod claim;
mod claim_error;
pub(super) mod claim_next;
mod claiming;
pub(super) mod complete;
pub(super) mod get;
mod group_place;
pub(super) mod history;
pub(super) mod launch;
pub(super) mod list;
mod log_batch;
pub(super) mod log_stream;
pub(super) mod logs;
mod nul;
pub(super) mod retry;
pub(super) mod scheduled;
pub(super) mod status;
mod waiting;
