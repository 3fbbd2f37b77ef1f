//! Upcasting: turns payloads of retired versions into current ones. Each retired (type, version) has one pure
//! function, which produces the next version; they are applied in a chain.

use std::borrow::Cow;

use serde_json::Value;

/// One step from a retired payload to the next version.
struct Upcaster {
    event_type: &'static str,
    /// The version that it reads; it produces the next one.
    from_version: u32,
    step: fn(Value) -> Value,
}

/// Every retired payload. No event type has been retired yet.
const UPCASTERS: &[Upcaster] = &[];

/// Whether a payload of this version has to be turned into a newer one.
pub(crate) fn is_retired(event_type: &str, event_version: u32) -> bool {
    find(UPCASTERS, event_type, event_version).is_some()
}

/// Upcasts a payload to the current version, and returns that version and the new text. A payload that is not JSON,
/// or whose version is unknown, is returned unchanged, for the decoder to refuse.
pub(crate) fn upcast<'a>(event_type: &str, event_version: u32, payload: &'a str) -> (u32, Cow<'a, str>) {
    if is_retired(event_type, event_version)
        && let Ok(value) = serde_json::from_str(payload)
    {
        let (version, value) = upcast_value(event_type, event_version, value);
        return (version, Cow::Owned(value.to_string()));
    }
    (event_version, Cow::Borrowed(payload))
}

/// Upcasts a parsed payload to the current version, and returns that version and the new payload.
pub(crate) fn upcast_value(event_type: &str, event_version: u32, payload: Value) -> (u32, Value) {
    climb(UPCASTERS, event_type, event_version, payload)
}

fn find<'a>(upcasters: &'a [Upcaster], event_type: &str, event_version: u32) -> Option<&'a Upcaster> {
    upcasters
        .iter()
        .find(|upcaster| upcaster.event_type == event_type && upcaster.from_version == event_version)
}

fn climb(upcasters: &[Upcaster], event_type: &str, mut version: u32, mut payload: Value) -> (u32, Value) {
    while let Some(upcaster) = find(upcasters, event_type, version) {
        payload = (upcaster.step)(payload);
        version += 1;
    }
    (version, payload)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CHAIN: &[Upcaster] = &[
        Upcaster {
            event_type: "job.claimed",
            from_version: 1,
            step: |mut v| {
                v["runner_id"] = v["runner"].take();
                v
            },
        },
        Upcaster {
            event_type: "job.claimed",
            from_version: 2,
            step: |mut v| {
                v["attempt"] = json!(1);
                v
            },
        },
    ];

    #[test]
    fn a_retired_payload_climbs_to_the_current_version() {
        let (version, new) = climb(CHAIN, "job.claimed", 1, json!({"runner": "a"}));
        assert_eq!(version, 3);
        assert_eq!((&new["runner_id"], &new["attempt"]), (&json!("a"), &json!(1)));
    }

    #[test]
    fn a_current_payload_is_not_touched() {
        let current = json!({"runner_id": "a", "attempt": 2});
        assert_eq!(climb(CHAIN, "job.claimed", 3, current.clone()), (3, current));
    }
}
