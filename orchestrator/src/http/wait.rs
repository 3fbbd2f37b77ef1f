//! How long a long poll waits for something, as its client asks.

use std::time::Duration;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};

/// Longest wait; below the idle timeouts of load balancers.
const MAX_WAIT: Duration = Duration::from_secs(50);

/// A wait, spelled in whole milliseconds. A longer one than [`MAX_WAIT`], however large the number, counts as that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wait(pub(super) Duration);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let milliseconds = f64::deserialize(deserializer)?;
        if milliseconds < 0.0 || milliseconds.fract() != 0.0 {
            return Err(D::Error::invalid_value(Unexpected::Float(milliseconds), &"a whole number from 0"));
        }
        Ok(Self(Duration::from_secs_f64(milliseconds.min(MAX_WAIT.as_secs_f64() * 1_000.0) / 1_000.0)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use axum::extract::Query;

    use super::*;

    fn read(text: &str) -> Option<Duration> {
        serde_json::from_str::<Wait>(text).ok().map(|wait| wait.0)
    }

    #[test]
    fn a_wait_is_a_whole_number_that_may_be_too_large() {
        for (text, milliseconds) in [("0", 0), ("7.0", 7), ("1500", 1_500), ("50000", 50_000)] {
            assert_eq!(read(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["50001", "18446744073709551616", "1e30"] {
            assert_eq!(read(text), Some(MAX_WAIT), "{text}");
        }
        for text in ["-1", "0.5", "\"1\"", "null"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_query_spells_it_as_json_does() {
        let read = |text: &str| {
            let uri = format!("/?wait_ms={text}").parse().unwrap();
            let query = Query::<HashMap<String, Wait>>::try_from_uri(&uri);
            query.ok().map(|query| query["wait_ms"].0)
        };
        assert_eq!(read("700"), Some(Duration::from_millis(700)));
        assert_eq!(read("18446744073709551616"), Some(MAX_WAIT));
        for text in ["-1", "0.5", "a", "inf", "NaN"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
