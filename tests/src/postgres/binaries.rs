//! Finds the programs of PostgreSQL, or fetches Debian's package.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use super::host;

/// The oldest release that Rivet supports.
const OLDEST: u32 = 15;
/// The programs that are needed.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "dropdb"];
const FETCH: &str = include_str!("fetch.sh");
const ADVICE: &str = "the tests need PostgreSQL 15 or newer: install it (apt-get install postgresql, dnf install \
                      postgresql-server, brew install postgresql@17) or put its programs on the PATH";

/// An installation of PostgreSQL.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    directory: PathBuf,
    /// Where the loader finds the libraries of a fetched installation.
    libraries: Option<OsString>,
}

impl Binaries {
    /// The newest installation in the first place that has any, else Debian's package, unpacked in the temporary
    /// directory.
    ///
    /// # Panics
    /// If none can be found or fetched, with a message that says what to install.
    pub(super) fn find() -> &'static Self {
        static FOUND: OnceLock<Binaries> = OnceLock::new();
        FOUND.get_or_init(Self::look)
    }

    fn look() -> Self {
        if let Some(directory) = installed_places().into_iter().find(|place| is_supported(place, None)) {
            return Self { directory, libraries: None };
        }
        let unpacked = fetch().unwrap_or_else(|error| panic!("{ADVICE} ({error})"));
        let libraries = libraries_under(&unpacked);
        let directory = newest_first(&unpacked.join("usr/lib/postgresql"), "bin")
            .into_iter()
            .find(|place| is_supported(place, libraries.as_ref()))
            .unwrap_or_else(|| panic!("{ADVICE} (this system's own package is older)"));
        Self { directory, libraries }
    }

    /// One of the programs, without standard input.
    pub(super) fn command(&self, program: &str) -> Command {
        command(&self.directory, program, self.libraries.as_ref())
    }
}

fn command(directory: &Path, program: &str, libraries: Option<&OsString>) -> Command {
    let mut command = Command::new(directory.join(program));
    command.stdin(Stdio::null());
    if let Some(libraries) = libraries {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command
}

fn installed_places() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = env::split_paths(&path).collect();
    // Debian and its derivatives, Red Hat, and Homebrew on both kinds of Mac.
    places.extend(newest_first(Path::new("/usr/lib/postgresql"), "bin"));
    for prefix in ["/usr", "/opt/homebrew/opt", "/usr/local/opt"] {
        let named = newest_first(Path::new(prefix), "bin").into_iter();
        places.extend(named.filter(|place| {
            let installation = place.parent().and_then(Path::file_name).unwrap_or_default();
            let installation = installation.to_string_lossy();
            installation.starts_with("postgresql") || installation.starts_with("pgsql")
        }));
    }
    places
}

/// `directory/*/below`, the highest name first.
fn newest_first(directory: &Path, below: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = entries.map(|entry| entry.path().join(below)).collect();
    places.sort();
    places.reverse();
    places
}

fn is_supported(place: &Path, libraries: Option<&OsString>) -> bool {
    PROGRAMS.iter().all(|program| place.join(program).is_file())
        && command(place, "postgres", libraries)
            .arg("--version")
            .output()
            .ok()
            .and_then(|output| major_version(&String::from_utf8_lossy(&output.stdout)))
            .is_some_and(|major| major >= OLDEST)
}

/// `postgres (PostgreSQL) 15.14 (Debian …)` → 15.
fn major_version(text: &str) -> Option<u32> {
    text.split(") ").nth(1)?.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// Unpacks Debian's package, once per machine and user; returns the root of the unpacked files.
fn fetch() -> Result<PathBuf, String> {
    let base = host::temporary_directory();
    let tree = base.join(format!("rivet-postgresql-{}", host::user_id()));
    if let Ok(found) = fs::symlink_metadata(&tree) {
        let ours = found.is_dir() && found.uid() == host::user_id() && found.mode() & 0o022 == 0;
        return ours.then(|| tree.join("root")).ok_or_else(|| format!("{} is not ours", tree.display()));
    }
    let partial = tempfile::Builder::new()
        .prefix("rivet-postgresql-partial-")
        .tempdir_in(&base)
        .map_err(|error| error.to_string())?;
    let work = partial.path().join("work");
    fs::DirBuilder::new().mode(0o755).create(&work).map_err(|error| error.to_string())?;
    let output = Command::new("sh")
        .args(["-c", FETCH, "fetch.sh"])
        .arg(&work)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(last_line(&output));
    }
    // If another process has unpacked it meanwhile, that copy is used.
    if fs::rename(&work, &tree).is_err() && !tree.is_dir() {
        return Err(format!("cannot write {}", tree.display()));
    }
    Ok(tree.join("root"))
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.trim_end().lines().last().unwrap_or("the package could not be unpacked").to_owned()
}

/// `usr/lib`, and its folder for this kind of machine, such as `x86_64-linux-gnu`.
fn libraries_under(root: &Path) -> Option<OsString> {
    let usr_lib = root.join("usr/lib");
    let of_this_machine =
        newest_first(&usr_lib, "").into_iter().filter(|folder| folder.to_string_lossy().contains("-linux-"));
    env::join_paths(of_this_machine.chain([usr_lib.clone()])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_the_version_line() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta2\n"), Some(18));
        assert_eq!(major_version("command not found"), None);
    }

    #[test]
    fn a_directory_without_the_programs_is_passed_over() {
        assert!(!is_supported(Path::new("/"), None));
    }
}
