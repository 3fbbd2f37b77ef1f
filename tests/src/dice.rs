//! Random numbers that can be repeated.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Numbers that depend only on a seed (a linear congruential generator).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that roll the same numbers whenever the seed is the same.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// A random seed, short enough to be typed again.
    pub fn any_seed() -> u64 {
        RandomState::new().build_hasher().finish() % 1_000_000
    }

    /// A number from 0 to `sides` - 1.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The lower bits repeat themselves too soon.
        (self.0 >> 33) % sides
    }
}
