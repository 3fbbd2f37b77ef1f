//! The store of segments: a directory, or a bucket.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::log::StoreError;

/// Characters that are written as `%XX` in the URL of a directory.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#');

/// Where segments are kept: `file:///directory`, or `s3://bucket/prefix` in a build with the feature `s3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveUrl {
    /// A directory. It is created with the first segment if it does not exist.
    Directory(PathBuf),
    /// A bucket with the prefix of its objects, as the whole URL.
    Bucket(String),
}

/// A text that is not an [`ArchiveUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected file:///DIRECTORY or s3://BUCKET/PREFIX")]
pub struct ArchiveUrlError;

impl FromStr for ArchiveUrl {
    type Err = ArchiveUrlError;

    fn from_str(text: &str) -> Result<Self, ArchiveUrlError> {
        if let Some(directory) = text.strip_prefix("file://").filter(|path| path.starts_with('/')) {
            let directory = percent_decode_str(directory).decode_utf8().map_err(|_| ArchiveUrlError)?;
            Ok(Self::Directory(directory.into_owned().into()))
        } else if text.strip_prefix("s3://").is_some_and(|bucket| !bucket.is_empty()) {
            Ok(Self::Bucket(text.to_owned()))
        } else {
            Err(ArchiveUrlError)
        }
    }
}

impl fmt::Display for ArchiveUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => {
                write!(f, "file://{}", utf8_percent_encode(&directory.to_string_lossy(), ESCAPED))
            }
            Self::Bucket(url) => f.write_str(url),
        }
    }
}

/// The store of an archive's objects. Clones share it.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Objects {
    /// Opens the store at a URL. All else that a bucket needs, such as credentials, comes from the environment
    /// variables `AWS_…`.
    ///
    /// # Errors
    /// If the name of the directory or the settings of the bucket are invalid. Neither is accessed yet.
    pub fn open(url: &ArchiveUrl) -> Result<Self, StoreError> {
        match url {
            ArchiveUrl::Directory(directory) => {
                let prefix = Path::from_absolute_path(std::path::absolute(directory)?)?;
                Ok(Self { store: Arc::new(LocalFileSystem::new().with_fsync(true)), prefix })
            }
            ArchiveUrl::Bucket(url) => open_bucket(url),
        }
    }

    /// Stores an object, durably.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.store.put(&self.path(name), bytes.into()).await?;
        Ok(())
    }

    /// Reads a whole object.
    pub async fn get(&self, name: &str) -> Result<Bytes, StoreError> {
        Ok(self.store.get(&self.path(name)).await?.bytes().await?)
    }

    /// Reads a range of bytes of an object.
    pub(crate) async fn get_range(&self, name: &str, place: Range<u64>) -> Result<Bytes, StoreError> {
        Ok(self.store.get_range(&self.path(name), place).await?)
    }

    /// Deletes an object. Succeeds if there is none.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn path(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }
}

#[cfg(feature = "s3")]
fn open_bucket(url: &str) -> Result<Objects, StoreError> {
    let store = object_store::aws::AmazonS3Builder::from_env().with_url(url).build()?;
    let prefix =
        url.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).map_or("", |(_, prefix)| prefix);
    Ok(Objects { store: Arc::new(store), prefix: Path::parse(prefix)? })
}

#[cfg(not(feature = "s3"))]
fn open_bucket(url: &str) -> Result<Objects, StoreError> {
    Err(format!("{url}: this build has no S3: it was made without the feature s3").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_directory_or_a_bucket() {
        for url in ["file:///var/lib/rivet/archive", "file:///var/my%20archive%25", "s3://bucket/prefix"] {
            assert_eq!(url.parse::<ArchiveUrl>().unwrap().to_string(), url);
        }
        let directory = ArchiveUrl::Directory("/var/my archive%".into());
        assert_eq!("file:///var/my%20archive%25".parse(), Ok(directory));
        for url in ["", "archive", "file://archive", "s3://", "http://bucket"] {
            assert_eq!(url.parse::<ArchiveUrl>(), Err(ArchiveUrlError), "{url}");
        }
    }
}
