//! Old payloads into today's: one pure function per retired (type, version), each one step up.

use std::borrow::Cow;

use serde_json::Value;

/// One step from a retired payload to the next version.
struct Upcaster {
    event_type: &'static str,
    /// The version it reads; it writes the one after.
    from_version: u32,
    step: fn(Value) -> Value,
}

/// Every retired payload. No event type has been retired yet.
const UPCASTERS: &[Upcaster] = &[];

/// The payload of today's version that `payload` stands for. One that is no JSON comes back as it is, for the
/// decoder to refuse.
pub(crate) fn upcast<'a>(event_type: &str, event_version: u32, payload: &'a str) -> Cow<'a, str> {
    upcast_with(UPCASTERS, event_type, event_version, payload)
}

fn upcast_with<'a>(
    upcasters: &[Upcaster],
    event_type: &str,
    event_version: u32,
    payload: &'a str,
) -> Cow<'a, str> {
    let mut version = event_version;
    let mut current: Option<Value> = None;
    while let Some(upcaster) =
        upcasters.iter().find(|u| u.event_type == event_type && u.from_version == version)
    {
        let value = match current.take() {
            Some(value) => value,
            None => match serde_json::from_str(payload) {
                Ok(value) => value,
                Err(_) => return Cow::Borrowed(payload),
            },
        };
        current = Some((upcaster.step)(value));
        version += 1;
    }
    current.map_or(Cow::Borrowed(payload), |value| Cow::Owned(value.to_string()))
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
        let old = json!({"runner": "a"}).to_string();
        let new: Value = serde_json::from_str(&upcast_with(CHAIN, "job.claimed", 1, &old)).unwrap();
        assert_eq!((&new["runner_id"], &new["attempt"]), (&json!("a"), &json!(1)));
    }

    #[test]
    fn a_current_payload_is_not_touched() {
        let current = json!({"runner_id": "a", "attempt": 2}).to_string();
        assert!(
            matches!(upcast_with(CHAIN, "job.claimed", 3, &current), Cow::Borrowed(same) if same == current)
        );
    }
}
