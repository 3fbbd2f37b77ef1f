//! A period of time, by which lists are filtered.

use chrono::{DateTime, Utc};

use crate::query::Query;

/// From one time to another; unbounded where there is none. Times are compared as whole microseconds, the resolution at
/// which they are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub since: Option<DateTime<Utc>>,
    /// The moment after its last one.
    pub until: Option<DateTime<Utc>>,
}

impl Period {
    /// The part of it that is in `other`, too.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            since: self.since.max(other.since),
            until: [self.until, other.until].into_iter().flatten().min(),
        }
    }

    /// Whether a time is in it.
    pub(crate) fn contains(self, time: DateTime<Utc>) -> bool {
        let micros = |time: DateTime<Utc>| time.timestamp_micros();
        self.since.is_none_or(|since| micros(since) <= micros(time))
            && self.until.is_none_or(|until| micros(time) < micros(until))
    }

    /// Appends the condition that the time in `column` is in it.
    pub(crate) fn condition(self, query: Query, column: &str) -> Query {
        query
            .push(&format!("{column} >= "))
            .bind(self.since.map_or(i64::MIN, |since| since.timestamp_micros()))
            .bind_some(&format!(" and {column} < "), self.until.map(|until| until.timestamp_micros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_its_first_moment_and_not_its_end() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let period =
            |since: Option<i64>, until: Option<i64>| Period { since: since.map(at), until: until.map(at) };
        let times = |period: Period| [1, 2, 3].map(|second| period.contains(at(second)));
        assert_eq!(times(Period::default()), [true; 3]);
        assert_eq!(times(period(Some(2), None)), [false, true, true]);
        assert_eq!(times(period(None, Some(2))), [true, false, false]);
        assert_eq!(period(Some(1), Some(5)).and(period(Some(2), Some(4))), period(Some(2), Some(4)));
        assert_eq!(period(None, Some(4)).and(period(Some(1), None)), period(Some(1), Some(4)));
    }
}
