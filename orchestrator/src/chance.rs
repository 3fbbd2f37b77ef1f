//! Chance, for spreading things that would otherwise happen together.

use uuid::Uuid;

/// A number from 0 to 1, drawn from the random part of a fresh UUIDv7.
#[expect(clippy::disallowed_methods, reason = "no id: the one place that draws by chance")]
#[expect(clippy::cast_precision_loss, reason = "a jitter needs no more than 53 bits")]
pub(crate) fn draw() -> f64 {
    let random =
        u64::from_be_bytes(Uuid::now_v7().as_bytes()[8..].try_into().expect("invariant: 8 of 16 bytes"));
    // The two highest bits are the variant.
    (random & (u64::MAX >> 2)) as f64 / (u64::MAX >> 2) as f64
}
