//! Signatures of deliveries, as Standard Webhooks specifies them
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>): HMAC-SHA256 over
//! `{id}.{timestamp}.{body}`, in the header `webhook-signature` as `v1,` and base64.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use rivet_events::deliveries::WebhookSecret;
use sha2::Sha256;

/// Prefix of a secret.
const PREFIX: &str = "whsec_";
/// Allowed length of a key, in bytes.
const KEY_BYTES: RangeInclusive<usize> = 24..=64;

/// A text is not a valid secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be whsec_ and 24 to 64 bytes in base64")]
pub(crate) struct SecretError;

/// The key with which the deliveries of a webhook are signed.
#[derive(Clone)]
pub(crate) struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Decodes the key of a secret.
    pub(crate) fn new(secret: &WebhookSecret) -> Result<Self, SecretError> {
        let encoded = secret.expose().strip_prefix(PREFIX).ok_or(SecretError)?;
        let key = STANDARD.decode(encoded).map_err(|_| SecretError)?;
        if !KEY_BYTES.contains(&key.len()) {
            return Err(SecretError);
        }
        Ok(Self(Hmac::new_from_slice(&key).expect("invariant: HMAC takes keys of any length")))
    }

    /// Signs a delivery; returns the value of `webhook-signature`.
    pub(crate) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> Result<SigningKey, SecretError> {
        SigningKey::new(&WebhookSecret::from(secret.to_owned()))
    }

    #[test]
    fn a_signature_is_what_the_libraries_of_receivers_expect() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_a_key_of_sensible_length() {
        let of_bytes = |count: usize| key(&format!("whsec_{}", STANDARD.encode(vec![7; count]))).is_ok();
        assert_eq!([23, 24, 64, 65].map(of_bytes), [false, true, true, false]);
        assert!(key("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());
        assert!(key("whsec_not base64").is_err());
    }
}
