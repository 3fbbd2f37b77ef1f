//! When a client sends a request again, and after which pause: the runner, and the command line where it follows a log.
//!
//! A write of a runner carries its lease, and a log batch its offset, so repeating one is always safe, while giving up
//! too early loses what a job did. Hence everything is tried again except what the server itself refused.

use std::time::Duration;

use crate::random;

/// What an answer means for the client that sent the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The server has it.
    Accepted,
    /// The answer is not final, or may not come from the server at all but from a proxy.
    TryAgain,
    /// It leads elsewhere, to another address or to a login. Rivet itself never answers so: a proxy does, at any time if its
    /// session has ended, or always if the address of the server is wrong.
    Elsewhere,
    /// The job belongs to another attempt by now: stop it and report nothing more.
    LeaseLost,
    /// The server understood the request and refused it.
    Refused,
}

impl Verdict {
    /// Judges an answer by its status and by the `code` of its body.
    ///
    /// A 404 or 405 without a code is tried again: a proxy in front of a restarting server emits them. So is a 400 that
    /// says that the body did not arrive whole. A 403 is a rule of a proxy against this very request, which another try
    /// does not change.
    pub(crate) fn of(status: u16, code: Option<&str>) -> Self {
        match (status, code) {
            (200..=299, _) => Self::Accepted,
            (409, Some("lease_lost")) => Self::LeaseLost,
            (404 | 405, Some(_)) => Self::Refused,
            (404 | 405 | 408 | 425 | 429 | 500.., _) | (400, Some("incomplete_body")) => Self::TryAgain,
            (300..=399 | 401 | 407, None) => Self::Elsewhere,
            (_, _) => Self::Refused,
        }
    }
}

/// Exponential backoff with jitter: pauses double up to a bound, and half of each is random, so that the runners of a
/// restarted server do not all return at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// First pause.
    const FIRST: Duration = Duration::from_millis(200);
    /// Longest pause, on top of what the server may ask for.
    const LONGEST: Duration = Duration::from_secs(10);

    pub(crate) fn new() -> Self {
        Self { next: Self::FIRST }
    }

    /// The pause before the next try. It comes on top of what the server asked for with `Retry-After`, of which at
    /// most a minute is granted.
    pub(crate) fn pause(&mut self, retry_after: Option<Duration>) -> Duration {
        let bound = self.next;
        self.next = (bound * 2).min(Self::LONGEST);
        let pause = bound / 2 + jitter(bound / 2);
        retry_after.map_or(pause, |asked| asked.min(Self::LONGEST * 6) + pause)
    }
}

/// A random duration below `bound`.
pub(crate) fn jitter(bound: Duration) -> Duration {
    bound.mul_f64(random::draw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_write_is_not_sent_again() {
        for status in [200, 201, 204] {
            assert_eq!(Verdict::of(status, None), Verdict::Accepted, "{status}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for status in [404, 405, 408, 425, 429, 500, 502, 503, 504] {
            assert_eq!(Verdict::of(status, None), Verdict::TryAgain, "{status}");
        }
        assert_eq!(Verdict::of(400, Some("incomplete_body")), Verdict::TryAgain);
    }

    #[test]
    fn what_a_proxy_sends_elsewhere_is_not_taken_for_the_server() {
        for status in [302, 401, 407] {
            assert_eq!(Verdict::of(status, None), Verdict::Elsewhere, "{status}");
        }
    }

    #[test]
    fn a_lost_lease_is_told_apart_from_other_conflicts() {
        assert_eq!(Verdict::of(409, Some("lease_lost")), Verdict::LeaseLost);
        assert_eq!(Verdict::of(409, Some("already_completed")), Verdict::Refused);
        assert_eq!(Verdict::of(409, None), Verdict::Refused);
    }

    #[test]
    fn a_refusal_is_final() {
        for status in [400, 403, 413, 415, 416, 422] {
            assert_eq!(Verdict::of(status, None), Verdict::Refused, "{status}");
        }
        assert_eq!(Verdict::of(404, Some("job_not_found")), Verdict::Refused);
    }

    #[test]
    fn pauses_grow_to_their_bound_and_heed_the_server() {
        let mut backoff = Backoff::new();
        assert!(backoff.pause(None) <= Backoff::FIRST);
        let last = (0..20).map(|_| backoff.pause(None)).last().expect("invariant: twenty pauses");
        assert!(last >= Backoff::LONGEST / 2 && last <= Backoff::LONGEST, "{last:?}");
        assert!(backoff.pause(Some(Duration::from_secs(30))) >= Duration::from_secs(30));
    }
}
