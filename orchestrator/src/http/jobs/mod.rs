//! Jobs: launching, offering and claiming them; reports and logs of their runners; reading, cancelling and repeating
//! them.

pub(super) mod append_logs;
pub(super) mod cancel;
pub(super) mod claim;
mod claim_error;
pub(super) mod claim_next;
pub(super) mod complete;
mod execution;
pub(super) mod get;
pub(super) mod launch;
pub(super) mod list;
pub(super) mod log_stream;
pub(super) mod logs;
mod nul;
pub(super) mod retry;
pub(super) mod scheduled;
pub(super) mod status;
pub(super) mod waiting;
