//! What operators see and do, as SQL.

use std::sync::Arc;

use crate::dedup::{DURABLE, NEVER};

/// The statements of operators.
pub(super) struct ControlStatements {
    pub(super) list: Arc<str>,
    pub(super) failures: Arc<str>,
    pub(super) replay: Arc<str>,
    pub(super) discard: Arc<str>,
    pub(super) restore: Arc<str>,
    pub(super) pause: Arc<str>,
    pub(super) resume: Arc<str>,
    pub(super) pauses: Arc<str>,
}

impl ControlStatements {
    pub(super) fn new(inbox: &str, pauses: &str, claims: &str) -> Self {
        let change = |set: &str, states: &str| change(inbox, claims, set, states).into();
        let ends = ends();
        Self {
            list: format!(
                "SELECT id, endpoint, event, type, state, attempts, postponed, worker, cause, error,
    (extract(epoch FROM arrived) * 1000000)::bigint AS arrived
FROM {inbox} WHERE id > $1 AND ($2::text IS NULL OR endpoint = $2) AND ($3::text IS NULL OR type = $3)
    AND ($4::smallint IS NULL OR state = $4) AND ($5::smallint IS NULL OR cause = $5)
    AND ($6::bigint IS NULL OR extract(epoch FROM arrived) * 1000000 >= $6)
    AND ($7::bigint IS NULL OR extract(epoch FROM arrived) * 1000000 < $7)
    AND ($9::bigint IS NULL OR arrived < clock_timestamp() - $9 * interval '1 microsecond')
ORDER BY id LIMIT $8"
            )
            .into(),
            failures: format!(
                "SELECT (failure->>'attempt')::integer AS attempt, failure->>'worker' AS worker, failure->>'error' AS error
FROM {inbox}, jsonb_array_elements(failures) WITH ORDINALITY AS all_of_them (failure, number) WHERE id = $1 ORDER BY number"
            )
            .into(),
            replay: change("state = 0, due = clock_timestamp(), attempts = 0, postponed = 0, cause = NULL", "3"),
            discard: change(&format!("state = 4, due = {ends}"), "2, 3"),
            restore: change("state = 3, due = clock_timestamp()", "4"),
            pause: format!(
                "WITH paused AS (INSERT INTO {pauses} (endpoint, type) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1)
SELECT EXISTS (SELECT FROM paused) AS changed"
            )
            .into(),
            resume: format!(
                "WITH resumed AS (DELETE FROM {pauses} WHERE endpoint = $1 AND type = $2 RETURNING 1)
SELECT EXISTS (SELECT FROM resumed) AS changed"
            )
            .into(),
            pauses: format!("SELECT endpoint, type FROM {pauses} ORDER BY 1, 2").into(),
        }
    }
}

/// An update of rows by their ids, `$1`, that are in one of these states. Their claims end with the
/// retention `$2`, or never.
fn change(inbox: &str, claims: &str, set: &str, states: &str) -> String {
    let ends = ends();
    format!(
        "WITH {DURABLE}, changed AS (
    UPDATE {inbox} SET {set} WHERE id = ANY ($1) AND state IN ({states}) RETURNING id, key
), ended AS (
    UPDATE {claims} AS claim SET ends = {ends} FROM changed WHERE claim.key = changed.key AND claim.token = changed.id
)
SELECT count(*) AS changed FROM (SELECT count(*) FROM durable) AS once, changed"
    )
}

fn ends() -> String {
    format!("coalesce(clock_timestamp() + $2::bigint * interval '1 microsecond', {NEVER})")
}
