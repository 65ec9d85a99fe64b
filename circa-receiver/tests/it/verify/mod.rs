//! Verification: signatures, secrets and the signed time.

mod known_answers;
mod one_hmac_per_secret;
mod properties;
mod vectors;
