//! The directory that one job works in, removed afterwards.
//!
//! A file beside it, with `.lock` after its name, is locked by the runner as long as that lives. So the workspaces of a
//! runner that was killed are known by their free locks, and the next runner removes them.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rivet_events::id::JobId;
use tempfile::{NamedTempFile, TempPath};
use tokio::task::spawn_blocking;

use super::container::Engine;

/// How the names of workspaces begin.
const PREFIX: &str = "job-";
/// How the name of a workspace's lock file goes on after that of the workspace.
const LOCK_SUFFIX: &str = ".lock";

/// A directory of a job's own. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Workspace {
    directory: PathBuf,
    lock: NamedTempFile,
}

impl Workspace {
    /// Creates an empty directory for `job_id` under `parent`, and `parent` itself if it is missing.
    pub(super) fn create(parent: &Path, job_id: JobId) -> anyhow::Result<Self> {
        let within = || format!("a workspace under {} cannot be made", parent.display());
        fs::create_dir_all(parent).with_context(within)?;
        let parent = parent.canonicalize().with_context(within)?;
        let lock = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{job_id}-"))
            .suffix(LOCK_SUFFIX)
            .tempfile_in(parent)
            .with_context(within)?;
        // Fails where the file system knows no locks; there, what a killed runner leaves stays.
        let _ = lock.as_file().lock();
        let directory = lock.path().with_extension("");
        DirBuilder::new().mode(0o700).create(&directory).with_context(within)?;
        Ok(Self { directory, lock })
    }

    /// Checks that workspaces can be created under `parent`: a runner that cannot would fail every job.
    pub(super) fn try_out(parent: &Path) -> anyhow::Result<()> {
        Self::create(parent, JobId::generate()).map(drop)
    }

    /// The workspace of a lock file, if no living runner holds it.
    fn left_over(lock: PathBuf) -> Option<Self> {
        let directory = directory_of(&lock)?;
        let file = File::options().write(true).open(&lock).ok()?;
        // A directory is made only after its lock is taken.
        let is_left = file.try_lock().is_ok() && directory.is_dir();
        let lock = is_left.then(|| TempPath::try_from_path(lock).ok()).flatten()?;
        Some(Self { directory, lock: NamedTempFile::from_parts(file, lock) })
    }

    /// Its absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.directory
    }

    /// Drops it where it may take its time.
    pub(super) async fn remove(self) {
        if let Err(error) = spawn_blocking(move || drop(self)).await {
            tracing::warn!(%error, "the removal of a workspace did not end");
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = remove_directory(&self.directory) {
            tracing::warn!(workspace = %self.directory.display(), %error, "a workspace is left over");
            // With its lock, a later runner tries again.
            self.lock.disable_cleanup(true);
        }
    }
}

/// Removes the workspaces under `parent` whose runners were killed or could not remove them, and their containers.
pub(super) async fn remove_left_over(parent: &Path, engine: Option<Engine>) {
    let Ok(entries) = parent.canonicalize().and_then(fs::read_dir) else { return };
    for workspace in entries.flatten().filter_map(|entry| Workspace::left_over(entry.path())) {
        tracing::info!(workspace = %workspace.path().display(), "removing what another runner left");
        if let Some(engine) = engine {
            engine.remove_containers_in(workspace.path()).await;
        }
        workspace.remove().await;
    }
}

/// The workspace that a file is the lock of, if it is one.
fn directory_of(lock: &Path) -> Option<PathBuf> {
    let name = lock.file_name()?.to_str()?.strip_suffix(LOCK_SUFFIX)?;
    name.starts_with(PREFIX).then(|| lock.with_file_name(name))
}

/// Removes a directory, also where a job left parts of it write-protected (some package caches are).
fn remove_directory(path: &Path) -> io::Result<()> {
    if fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    make_writable(path)?;
    fs::remove_dir_all(path)
}

fn make_writable(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_workspace_can_be_made_is_found_out_beforehand() {
        let parent = tempfile::tempdir().unwrap();
        Workspace::try_out(parent.path()).unwrap();
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        let error = Workspace::try_out(Path::new("/proc/none")).unwrap_err();
        assert!(error.to_string().contains("/proc/none cannot be made"), "{error}");
    }

    #[tokio::test]
    async fn only_what_no_living_runner_holds_is_left_over() {
        let parent = tempfile::tempdir().unwrap();
        let held = Workspace::create(parent.path(), JobId::generate()).unwrap();
        let left = parent.path().join("job-left");
        for directory in [&left, &parent.path().join("job-without-lock"), &parent.path().join("other")] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("file"), "content").unwrap();
        }
        for lock in ["job-left.lock", "other.lock", "job-without-directory.lock"] {
            fs::write(parent.path().join(lock), "").unwrap();
        }

        remove_left_over(parent.path(), None).await;

        assert!(!left.exists() && !parent.path().join("job-left.lock").exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 6);
        drop(held);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 4);
    }

    #[tokio::test]
    async fn a_workspace_that_cannot_be_removed_is_left_to_the_next_runner() {
        let parent = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(parent.path(), JobId::generate()).unwrap();
        let path = workspace.path().to_owned();
        // A file where the directory was: that cannot be removed as one.
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "").unwrap();
        drop(workspace);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 2, "the file, and the lock");

        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        remove_left_over(parent.path(), None).await;
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_workspace_is_empty_absolute_and_gone_afterwards() {
        let parent = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(&parent.path().join("not/yet"), JobId::generate()).unwrap();
        let path = workspace.path().to_owned();
        assert!(path.is_absolute());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        let protected = path.join("cache/module");
        fs::create_dir_all(&protected).unwrap();
        fs::write(protected.join("file"), "kept read-only").unwrap();
        fs::set_permissions(&protected, Permissions::from_mode(0o500)).unwrap();
        drop(workspace);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }
}
