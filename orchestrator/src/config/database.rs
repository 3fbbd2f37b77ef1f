//! The settings of the database, and of the archive beside it.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use percent_encoding::percent_decode_str;
use rivet_events::segments::ArchiveUrl;

/// The options for storage, which all commands have in common.
#[derive(Debug, Clone, Args)]
pub struct DatabaseOptions {
    /// Where everything is kept: `sqlite://relative.db`, `sqlite:///absolute.db` or `postgres://user@host/name`
    #[arg(
        long = "database-url",
        env = "RIVET_DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite://rivet.db"
    )]
    pub url: DatabaseUrl,

    /// Where archived job logs are kept: `file:///directory` or `s3://bucket/prefix` [default: beside the SQLite file, in
    /// NAME.archive; none with PostgreSQL]
    #[arg(long, env = "RIVET_ARCHIVE_URL", value_name = "URL")]
    pub archive_url: Option<ArchiveUrl>,
}

impl DatabaseOptions {
    /// Where archived job logs are stored. Defaults to a directory beside the SQLite file; PostgreSQL has no default,
    /// since its replicas need not share a directory.
    #[must_use]
    pub fn archive_url(&self) -> Option<ArchiveUrl> {
        let beside = || self.url.beside(".archive").map(ArchiveUrl::Directory);
        self.archive_url.clone().or_else(beside)
    }
}

/// A database URL that may hold a password, which neither `Display` nor `Debug` shows.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL as given, password included. Only for the database driver.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is a SQLite file that must not be written to.
    pub(super) fn is_read_only(&self) -> bool {
        self.options().any(|option| option == "mode=ro")
    }

    /// The options of a SQLite URL.
    fn options(&self) -> impl Iterator<Item = &str> {
        self.0.split(['?', '&']).skip(1).filter(|_| self.0.starts_with("sqlite:"))
    }

    /// The path of an SQLite database file, percent-decoded as the driver does it; `None` for PostgreSQL.
    #[must_use]
    pub fn sqlite_file(&self) -> Option<Cow<'_, str>> {
        let rest = self.0.strip_prefix("sqlite:")?;
        let file = rest.strip_prefix("//").unwrap_or(rest).split('?').next()?;
        Some(percent_decode_str(file).decode_utf8_lossy())
    }

    /// The path of an SQLite database file with this suffix, for what is kept beside it; `None` for PostgreSQL. It is
    /// the same for the same file, whatever links lead there.
    #[must_use]
    pub fn beside(&self, suffix: &str) -> Option<PathBuf> {
        let mut path = real_path(&self.sqlite_file()?).into_os_string();
        path.push(suffix);
        Some(path.into())
    }
}

/// The path of a file without links.
fn real_path(file: &str) -> PathBuf {
    let path = Path::new(file);
    // A file that does not exist yet has no path of its own; its folder has.
    path.canonicalize().unwrap_or_else(|_| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match (folder.canonicalize(), path.file_name()) {
            (Ok(folder), Some(name)) => folder.join(name),
            (Ok(_) | Err(_), _) => path.to_owned(),
        }
    })
}

impl FromStr for DatabaseUrl {
    type Err = &'static str;

    /// Refuses an SQLite URL that names no file: SQLite would give each connection a database of its own in memory,
    /// which the others do not see. Everything else is left to the driver to check.
    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let url = Self(url.to_owned());
        let is_in_memory = url.options().any(|option| option == "mode=memory");
        match url.sqlite_file() {
            Some(file) if is_in_memory || ["", ":memory:"].contains(&&*file) => {
                Err("it names no file: expected sqlite://relative.db or sqlite:///absolute.db")
            }
            Some(_) | None => Ok(url),
        }
    }
}

/// Shows the SQLite file, or the URL of the PostgreSQL server without password and options.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = self.sqlite_file() {
            return f.write_str(&file);
        }
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let name = tail.split(['?', '#']).next().unwrap_or_default();
        match authority.rsplit_once('@') {
            // An unescaped `/`, `?` or `#` in the password has ended the authority early: show nothing of it. The
            // driver will refuse the URL.
            _ if tail.contains('@') => write!(f, "{scheme}://***"),
            None => write!(f, "{scheme}://{authority}{name}"),
            Some((user, host)) => match user.split_once(':') {
                None => write!(f, "{scheme}://{user}@{host}{name}"),
                Some((user, _)) => write!(f, "{scheme}://{user}:***@{host}{name}"),
            },
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
