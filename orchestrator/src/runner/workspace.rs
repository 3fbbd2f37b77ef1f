//! The directory that one job works in, removed afterwards.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use rivet_events::id::JobId;
use tempfile::TempDir;

/// An empty directory of a job's own.
#[derive(Debug)]
pub(super) struct Workspace(TempDir);

impl Workspace {
    /// Creates a directory for `job_id` under `parent`, and `parent` itself if it is missing.
    pub(super) fn create(parent: &Path, job_id: JobId) -> anyhow::Result<Self> {
        let within = || format!("a workspace under {} cannot be made", parent.display());
        fs::create_dir_all(parent).with_context(within)?;
        let parent = parent.canonicalize().with_context(within)?;
        tempfile::Builder::new()
            .prefix(&format!("job-{job_id}-"))
            .tempdir_in(parent)
            .map(Self)
            .with_context(within)
    }

    /// Checks that workspaces can be created under `parent`: a runner that cannot would fail every job.
    pub(super) fn try_out(parent: &Path) -> anyhow::Result<()> {
        Ok(Self::create(parent, JobId::generate())?.remove()?)
    }

    /// Its absolute path.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Removes the directory, also where the job left parts of it write-protected (some package caches are).
    pub(super) fn remove(self) -> io::Result<()> {
        let path = self.0.path().to_owned();
        if self.0.close().is_ok() {
            return Ok(());
        }
        make_writable(&path)?;
        fs::remove_dir_all(&path)
    }
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
        assert!(!path.exists());
    }
}
