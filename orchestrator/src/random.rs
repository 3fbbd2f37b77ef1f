//! Randomness, for jitter: it spreads what would otherwise happen at the same moment.

use uuid::Uuid;

/// A random number from 0 to 1, from the last 32 bits of a fresh UUIDv7. The bits before those hold the time and a
/// counter, which are nearly equal in all draws of one millisecond.
#[expect(clippy::disallowed_methods, reason = "not an id: the one source of randomness")]
pub(crate) fn draw() -> f64 {
    let [.., a, b, c, d] = Uuid::now_v7().into_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_at_the_same_moment_spread_evenly() {
        let draws: Vec<f64> = (0..10_000).map(|_| draw()).collect();
        for tenth in 0..10 {
            let from = f64::from(tenth) / 10.0;
            let count = draws.iter().filter(|draw| (from..from + 0.1).contains(*draw)).count();
            assert!((800..1_200).contains(&count), "{count} from {from}");
        }
        let pairs = draws.windows(2).filter(|pair| (pair[0] - pair[1]).abs() < 0.1).count();
        assert!(pairs < 2_500, "{pairs} draws are close to the one before");
    }
}
