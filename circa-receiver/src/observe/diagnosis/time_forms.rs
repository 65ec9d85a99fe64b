//! The times that may have been signed instead of the `t` of the header.

use serde::Deserialize;

use super::finding::Diagnosis;
use crate::verify::SignedAt;

/// The one member of a body that is read.
#[derive(Deserialize)]
struct Created {
    created: i64,
}

/// What may have stood before the body, as text; `None` is nothing at all.
pub(super) fn time_forms(signed_at: SignedAt<'_>, body: &[u8]) -> Vec<(Diagnosis, Option<String>)> {
    let t = signed_at.seconds;
    let created = serde_json::from_slice::<Created>(body).ok().map(|body| body.created);
    // Milliseconds, seconds where the header has milliseconds, a clock that was read twice, and
    // when the event happened.
    let others = [t.checked_mul(1_000), Some(t / 1_000), t.checked_sub(1), t.checked_add(1), created];
    let others = others.into_iter().flatten().filter(|other| *other != t);
    let others = others.map(|other| (Diagnosis::OtherTime, Some(other.to_string())));
    [(Diagnosis::NoTime, None)].into_iter().chain(others).collect()
}
