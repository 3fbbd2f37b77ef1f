//! The claims of one concurrency group go one after the other in this process. Each of them moves the group's
//! stream, so of those that decide on the same version only one is stored, and the others have to try again.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tokio::sync::{Mutex, MutexGuard};

/// More than there are groups from which jobs are claimed at the same time, mostly: two that share a lock only wait for
/// each other.
const LOCKS: usize = 64;

/// A lock for each group; some share one.
pub(super) struct GroupLocks([Mutex<()>; LOCKS]);

impl Default for GroupLocks {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl GroupLocks {
    /// Waits for the lock of a group, in order of arrival.
    pub(super) async fn lock(&self, group_id: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        group_id.hash(&mut hasher);
        let lock = hasher.finish() % LOCKS as u64;
        self.0[usize::try_from(lock).unwrap_or_default()].lock().await
    }
}
