//! The directory that one job works in, removed afterwards.
//!
//! A file beside it, with `.lock` after its name, is locked by the runner as long as that lives. So the workspaces of a
//! runner that was killed are known by their free locks, and the next runner removes them.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rivet_events::id::JobId;
use tempfile::{NamedTempFile, TempDir};

use super::container::Engine;

/// How the names of workspaces begin.
const PREFIX: &str = "job-";
/// How the name of a workspace's lock file goes on after that of the workspace.
const LOCK_SUFFIX: &str = ".lock";

/// An empty directory of a job's own.
#[derive(Debug)]
pub(super) struct Workspace {
    // Before its lock, so that it is also dropped first.
    directory: TempDir,
    lock: NamedTempFile,
}

impl Workspace {
    /// Creates a directory for `job_id` under `parent`, and `parent` itself if it is missing.
    pub(super) fn create(parent: &Path, job_id: JobId) -> anyhow::Result<Self> {
        let within = || format!("a workspace under {} cannot be made", parent.display());
        fs::create_dir_all(parent).with_context(within)?;
        let parent = parent.canonicalize().with_context(within)?;
        let lock = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{job_id}-"))
            .suffix(LOCK_SUFFIX)
            .tempfile_in(&parent)
            .with_context(within)?;
        // Fails where the file system knows no locks; there, what a killed runner leaves stays.
        let _ = lock.as_file().lock();
        let directory = tempfile::Builder::new()
            .prefix(lock.path().file_stem().unwrap_or_default())
            .rand_bytes(0)
            .tempdir_in(parent)
            .with_context(within)?;
        Ok(Self { directory, lock })
    }

    /// Checks that workspaces can be created under `parent`: a runner that cannot would fail every job.
    pub(super) fn try_out(parent: &Path) -> anyhow::Result<()> {
        Ok(Self::create(parent, JobId::generate())?.remove()?)
    }

    /// Its absolute path.
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Removes the directory.
    pub(super) fn remove(self) -> io::Result<()> {
        let removed = remove_directory(self.path());
        if removed.is_err() {
            // With its lock, a later runner tries again.
            let _ = self.lock.keep();
        }
        removed
    }
}

/// Removes the workspaces under `parent` whose runners were killed, and their containers.
pub(super) fn remove_left_over(parent: &Path, engine: Option<Engine>) {
    let Ok(entries) = parent.canonicalize().and_then(fs::read_dir) else { return };
    for lock in entries.flatten().map(|entry| entry.path()) {
        let Some(directory) = directory_of(&lock) else { continue };
        let file = File::options().write(true).open(&lock);
        // The lock is held until both are removed. A directory is made only after its lock is taken.
        if !file.as_ref().is_ok_and(|file| file.try_lock().is_ok()) || !directory.is_dir() {
            continue;
        }
        if let Some(engine) = engine {
            engine.remove_containers_in(&directory);
        }
        match remove_directory(&directory).and_then(|()| fs::remove_file(&lock)) {
            Ok(()) => tracing::info!(workspace = %directory.display(), "removed what a killed runner left"),
            Err(error) => {
                tracing::warn!(workspace = %directory.display(), %error, "what a killed runner left stays");
            }
        }
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

    #[test]
    fn only_what_no_living_runner_holds_is_left_over() {
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

        remove_left_over(parent.path(), None);

        assert!(!left.exists() && !parent.path().join("job-left.lock").exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 6);
        held.remove().unwrap();
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 4);
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
        workspace.remove().unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }
}
