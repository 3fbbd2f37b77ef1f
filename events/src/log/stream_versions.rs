//! A cache of stream versions: the version to which this process last moved each stream, so that the next append to
//! the stream needs no lookup.
//!
//! A stream never shrinks unless its job is purged, so a cached version stays a valid lower bound, whoever else
//! appends. If a purged stream begins anew, the first append that the cache refuses also removes the entry. A failover
//! that loses events takes the connections with it, so the cache is cleared when one fails or a new one is used.

use std::collections::HashMap;
use std::mem;

use crate::envelope::Version;
use crate::stream::StreamId;

/// The versions of the streams that were moved last. It is bounded by two generations: when the young one is full, it
/// replaces the old one, whose entries are evicted.
#[derive(Debug)]
pub(super) struct StreamVersions {
    /// Capacity of one generation.
    generation: usize,
    young: HashMap<StreamId, Version>,
    old: HashMap<StreamId, Version>,
}

impl StreamVersions {
    /// A cache of at least the last `generation` streams, and at most twice as many.
    pub(super) fn new(generation: usize) -> Self {
        Self { generation, young: HashMap::new(), old: HashMap::new() }
    }

    /// Records that the stream has reached a version.
    pub(super) fn raise(&mut self, stream: StreamId, version: Version) {
        if self.young.len() >= self.generation {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(stream, version);
    }

    /// Removes all streams from the cache.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// Removes the stream from the cache.
    pub(super) fn forget(&mut self, stream: &StreamId) {
        self.young.remove(stream);
        self.old.remove(stream);
    }

    /// The version that the stream has at least reached; 0 if it is not cached.
    pub(super) fn at_least(&self, stream: &StreamId) -> Version {
        self.young.get(stream).or_else(|| self.old.get(stream)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::StreamType;

    fn stream(id: u32) -> StreamId {
        StreamId::new(StreamType::Job, id)
    }

    #[test]
    fn the_last_streams_are_known_and_older_ones_forgotten() {
        let mut versions = StreamVersions::new(10);
        for id in 0..100 {
            versions.raise(stream(id), Version(u64::from(id) + 1));
        }
        assert!((90..100).all(|id| versions.at_least(&stream(id)) == Version(u64::from(id) + 1)));
        assert!((0..80).all(|id| versions.at_least(&stream(id)) == Version(0)));
    }

    #[test]
    fn a_stream_that_moves_again_is_known_at_its_last_version() {
        let mut versions = StreamVersions::new(2);
        for (id, version) in [(1, 1), (2, 1), (1, 2), (3, 1), (1, 3)] {
            versions.raise(stream(id), Version(version));
        }
        assert_eq!(versions.at_least(&stream(1)), Version(3));
    }

    #[test]
    fn nothing_is_left_of_a_stream_that_is_forgotten() {
        let mut versions = StreamVersions::new(1);
        for (id, version) in [(1, 1), (2, 1), (1, 2)] {
            versions.raise(stream(id), Version(version));
        }
        versions.forget(&stream(1));
        assert_eq!(versions.at_least(&stream(1)), Version(0));
    }
}
