//! How queries spell the filters of lists: periods of time, and words with commas between them.

use chrono::{DateTime, Utc};
use rivet_projections::Period;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{DeserializeOwned, Error, IntoDeserializer};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

/// What a time is to look like. The `+` of an offset is a space in a query, if it is not escaped.
pub(super) const A_TIME: &str = "a time such as 2026-01-31T12:00:00Z or 2026-01-31T13:00:00%2B01:00";

/// The period of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct InPeriod {
    /// Only jobs that were requested, pipelines that were created, runners that registered at this time or later.
    #[serde(default, deserialize_with = "optional_time")]
    since: Option<DateTime<Utc>>,
    /// Only jobs that were requested, pipelines that were created, runners that registered before this time.
    #[serde(default, deserialize_with = "optional_time")]
    until: Option<DateTime<Utc>>,
}

impl From<InPeriod> for Period {
    fn from(InPeriod { since, until }: InPeriod) -> Self {
        Self { since, until }
    }
}

/// The time that a text spells, if it spells one.
pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

fn optional_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let time = time(&String::deserialize(deserializer)?);
    time.map(Some).ok_or_else(|| D::Error::custom(format_args!("must be {A_TIME}")))
}

/// One value, or several with commas between them.
pub(super) fn words<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let value = |word: &str| {
        let word: StrDeserializer<'_, ValueError> = word.into_deserializer();
        T::deserialize(word).map_err(D::Error::custom)
    };
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(value).collect()
}
