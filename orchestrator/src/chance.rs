//! Chance, for spreading things that would otherwise happen together.

use uuid::Uuid;

/// A number from 0 to 1, drawn from the random end of a fresh UUIDv7. What is before that is the time and a counter,
/// the same or nearly so for all that draw within a millisecond.
#[expect(clippy::disallowed_methods, reason = "no id: the one place that draws by chance")]
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
