//! What the machine allows: where temporary files go, and which user runs PostgreSQL.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest path of a Unix socket that every system allows, without the name of the socket and of its directory.
const LONGEST_BASE: usize = 104 - "/rivet-postgres-XXXXXX/.s.PGSQL.5432".len() - 1;

/// A user and its group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    pub(super) user: u32,
    pub(super) group: u32,
}

/// The user that runs PostgreSQL: `nobody` if we are root, which PostgreSQL refuses, else ourselves (`None`).
pub(super) fn unprivileged_account() -> Option<Account> {
    (user_id() == 0).then(|| Account { user: id_of_nobody("-u"), group: id_of_nobody("-g") })
}

/// Our own user.
pub(super) fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The temporary directory; `/tmp` if that one is too deep for the path of a socket, or not accessible to the user
/// that runs PostgreSQL.
pub(super) fn temporary_directory() -> PathBuf {
    let asked_for = env::temp_dir();
    if asked_for.as_os_str().len() <= LONGEST_BASE && (user_id() != 0 || is_open_to_all(&asked_for)) {
        asked_for
    } else {
        PathBuf::from("/tmp")
    }
}

/// Whether every user may pass through all directories down to this one.
fn is_open_to_all(directory: &Path) -> bool {
    directory.ancestors().all(|step| fs::metadata(step).is_ok_and(|found| found.mode() & 0o001 != 0))
}

fn id_of_nobody(which: &str) -> u32 {
    let output = Command::new("id").args([which, "nobody"]).output().expect("every Unix has id");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("every Unix has an account for nobody")
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_under_a_closed_one_is_not_open() {
        let closed = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
        assert!(!is_open_to_all(closed.path()));
        assert!(is_open_to_all(Path::new("/")));
    }
}
