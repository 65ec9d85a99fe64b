//! The SQL of the inbox: every name qualified and quoted, every time the server's own.

use std::sync::Arc;

use super::control_statements::ControlStatements;
use crate::dedup::{Asked, CLAIMS_TABLE, DURABLE, NEVER, TOKENS_SEQUENCE, identifier, literal};
use crate::inbox::accept::AcceptRequest;

const TABLE: &str = "circa_receiver_inbox";
const PAUSES: &str = "circa_receiver_inbox_pauses";

/// The version of the table, kept in the table's comment.
const MARK: &str = "circa-receiver inbox, version 1";

/// The most events that one statement removes: it holds its locks for some milliseconds.
pub(super) const SWEPT_AT_ONCE: u64 = 1_000;

/// An endpoint and those of its tenants. Names are not compared by size, which depends on the
/// database's collation.
const WITH_TENANTS: &str = "(endpoint = $1 OR starts_with(endpoint, $1 || '/'))";

pub(super) struct Statements {
    /// The tables as SQL, qualified and quoted.
    inbox: String,
    pauses: String,
    claims: String,
    schema: String,
    pub(super) accept: Arc<str>,
    pub(super) lease: Arc<str>,
    pub(super) lease_with_tenants: Arc<str>,
    pub(super) renew: Arc<str>,
    pub(super) settle: Arc<str>,
    pub(super) complete_in: Arc<str>,
    pub(super) stats: Arc<str>,
    pub(super) sweep: Arc<str>,
    pub(super) usable: Arc<str>,
}

impl Statements {
    pub(super) fn new(schema: &str) -> Self {
        let name = |table: &str| format!("{}.{}", identifier(schema), identifier(table));
        let (inbox, pauses, claims) = (name(TABLE), name(PAUSES), name(CLAIMS_TABLE));
        let token = format!("nextval({}::regclass)", literal(&name(TOKENS_SEQUENCE)));
        Self {
            accept: accept(&inbox, &claims, &token).into(),
            lease: lease(&inbox, &pauses, "endpoint = $1").into(),
            lease_with_tenants: lease(&inbox, &pauses, WITH_TENANTS).into(),
            renew: format!(
                "WITH {DURABLE}, changed AS (
    UPDATE {inbox} SET due = clock_timestamp() + $3 * interval '1 microsecond'
    WHERE id = $1 AND token = $2 AND state = 1 RETURNING 1
)
SELECT EXISTS (SELECT FROM changed) AS changed FROM (SELECT count(*) FROM durable) AS once"
            )
            .into(),
            settle: settle(&inbox, &claims).into(),
            complete_in: complete_in(&inbox, &claims).into(),
            stats: stats(&inbox).into(),
            // As its claim, which the dedup store's sweep removes: an hour after the retention.
            sweep: format!(
                "DELETE FROM {inbox} WHERE id IN (
    SELECT id FROM {inbox} WHERE state IN (2, 4) AND due <= clock_timestamp() - interval '1 hour'
    ORDER BY due LIMIT {SWEPT_AT_ONCE} FOR UPDATE SKIP LOCKED
)"
            )
            .into(),
            usable: usable().into(),
            schema: schema.to_owned(),
            inbox,
            pauses,
            claims,
        }
    }

    /// The statements of operators.
    pub(super) fn control(&self) -> ControlStatements {
        ControlStatements::new(&self.inbox, &self.pauses, &self.claims)
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// The table's comment, by which its version is known.
    pub(super) fn mark(&self) -> &'static str {
        MARK
    }

    /// What makes the table, where it is not there.
    pub(super) fn schema_sql(&self) -> String {
        let Self { inbox, pauses, .. } = self;
        let mark = literal(MARK);
        // `due`: of what is ready, not before; of what runs, the end of the lease; of what is done,
        // the end of the retention. Large bodies lie apart from the row by themselves, so that an
        // update does not write them again.
        format!(
            "CREATE TABLE IF NOT EXISTS {inbox} (
    id bigint NOT NULL PRIMARY KEY,
    token bigint NOT NULL DEFAULT 0,
    due timestamptz NOT NULL,
    arrived timestamptz NOT NULL,
    started timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    postponed integer NOT NULL DEFAULT 0,
    state smallint NOT NULL,
    cause smallint,
    endpoint text NOT NULL,
    type text NOT NULL,
    event text NOT NULL,
    key bytea NOT NULL,
    worker text,
    error text,
    failures jsonb NOT NULL DEFAULT '[]',
    details text NOT NULL,
    body bytea NOT NULL
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02);
CREATE TABLE IF NOT EXISTS {pauses} (
    endpoint text NOT NULL,
    type text NOT NULL, -- empty: all types
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (endpoint, type)
);
CREATE INDEX IF NOT EXISTS circa_receiver_inbox_due ON {inbox} (endpoint, due) WHERE state < 2;
CREATE INDEX IF NOT EXISTS circa_receiver_inbox_done ON {inbox} (due) WHERE state IN (2, 4);
CREATE INDEX IF NOT EXISTS circa_receiver_inbox_dead ON {inbox} (endpoint) WHERE state = 3;
COMMENT ON TABLE {inbox} IS {mark};
"
        )
    }

    pub(super) fn grants_sql(&self, role: &str) -> String {
        let (tables, role) = (format!("{}, {}", self.inbox, self.pauses), identifier(role));
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {tables} TO {role};\n")
    }
}

/// Keeps the key among the claims, as done and without an end, and puts the event in the queue. As
/// the claim of the dedup store it reads first, so that a duplicate costs no commit, and it may be
/// answered that another call came between.
fn accept(inbox: &str, claims: &str, token: &str) -> String {
    format!(
        "WITH {DURABLE}, seen AS MATERIALIZED (
    SELECT done, nonce = $2 AS own, fingerprint = $3 AS same_body, ends
    FROM {claims} WHERE key = $1 AND token <> 0 AND ends > clock_timestamp()
), won AS (
    INSERT INTO {claims} AS old (key, nonce, fingerprint, token, done, ends)
    SELECT $1, $2, $3, {token}, true, {NEVER} WHERE NOT EXISTS (SELECT FROM seen)
    ON CONFLICT (key) DO UPDATE SET
        token = {token}, nonce = excluded.nonce, fingerprint = excluded.fingerprint, done = true, ends = excluded.ends
    WHERE old.token = 0 OR old.ends <= clock_timestamp()
    RETURNING token
), queued AS (
    INSERT INTO {inbox} (id, due, arrived, state, cause, endpoint, type, event, key, error, details, body)
    SELECT token, clock_timestamp(), clock_timestamp(), CASE WHEN $9::text IS NULL THEN 0 ELSE 3 END,
        CASE WHEN $9::text IS NULL THEN NULL ELSE 2 END, $4, $5, $6, $1, $9, $7, $8
    FROM won
)
SELECT (SELECT token FROM won) AS token, seen.done, seen.own, seen.same_body,
    (extract(epoch FROM seen.ends - clock_timestamp()) * 1000000)::bigint AS remaining
FROM (SELECT count(*) FROM durable) AS once LEFT JOIN seen ON true"
    )
}

pub(super) fn bind_accept(query: Asked, request: &AcceptRequest) -> Asked {
    let entry = request.entry();
    let (nonce, fingerprint) = (request.nonce().get().to_be_bytes(), entry.fingerprint().to_bytes());
    let query = query.bind(entry.key().as_bytes().to_vec()).bind(nonce.to_vec()).bind(fingerprint.to_vec());
    let query = query.bind(entry.endpoint().to_owned()).bind(entry.event_type().to_owned());
    let query = query.bind(entry.event_id().to_owned()).bind(entry.details().to_owned());
    query.bind(entry.body().to_vec()).bind(request.why_unreadable().map(text))
}

/// PostgreSQL's texts have no NUL.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Leases the oldest rows that are due and that nobody else is leasing now.
fn lease(inbox: &str, pauses: &str, here: &str) -> String {
    let lapsed = literal("the lease lapsed: the process ended, or stood still");
    format!(
        "WITH {DURABLE}, due AS MATERIALIZED (
    SELECT id FROM {inbox} AS ready
    WHERE state < 2 AND {here} AND due <= clock_timestamp() AND ($2::text[] IS NULL OR type = ANY ($2))
        AND type <> ALL ($6)
        AND NOT EXISTS (SELECT FROM {pauses} AS paused
            WHERE paused.endpoint = ready.endpoint AND paused.type IN ('', ready.type))
    ORDER BY due LIMIT $3 FOR UPDATE OF ready SKIP LOCKED
), taken AS (
    UPDATE {inbox} AS row SET state = 1, due = clock_timestamp() + $4 * interval '1 microsecond', token = row.token + 1,
        attempts = row.attempts + 1, worker = $5, started = clock_timestamp(),
        failures = CASE WHEN row.state = 0 THEN row.failures ELSE row.failures || jsonb_build_object('attempt', row.attempts,
            'worker', row.worker, 'started', row.started, 'ended', clock_timestamp(), 'error', {lapsed}) END
    FROM due WHERE row.id = due.id
    RETURNING row.id, row.token, row.endpoint, row.type, row.event, row.details, row.body, row.attempts, row.postponed,
        (extract(epoch FROM row.arrived) * 1000000)::bigint AS arrived
)
SELECT taken.* FROM (SELECT count(*) FROM durable) AS once, taken ORDER BY taken.arrived"
    )
}

/// Ends a run: `$3` the state, `$4` until when in microseconds, `$5` whether the attempt does not
/// count, `$6` postponements more, `$7` the cause, `$8` the error, `$9` whether the call is
/// repeated because its connection broke, `$10` whether the body is dropped. What is done has its
/// claim end with it.
///
/// A repeated call finds what the first one has committed. What is done may be marked once more,
/// also where the first one commits only now; the other ends add to the failures, and are not made
/// twice.
fn settle(inbox: &str, claims: &str) -> String {
    format!(
        "WITH {DURABLE}, changed AS (
    UPDATE {inbox} SET state = $3, due = clock_timestamp() + $4 * interval '1 microsecond', attempts = attempts - $5,
        postponed = postponed + $6, cause = $7, error = coalesce($8, error),
        body = CASE WHEN $10 THEN ''::bytea ELSE body END,
        failures = CASE WHEN $8::text IS NULL THEN failures ELSE failures || jsonb_build_object('attempt', attempts,
            'worker', worker, 'started', started, 'ended', clock_timestamp(), 'error', $8::text) END
    WHERE id = $1 AND token = $2 AND (state = 1 OR ($9 AND $3 = 2 AND state = 2))
    RETURNING id, key, state, due
), ended AS (
    UPDATE {claims} AS claim SET ends = changed.due FROM changed
    WHERE claim.key = changed.key AND claim.token = changed.id AND changed.state = 2
)
SELECT EXISTS (SELECT FROM changed) OR ($9 AND EXISTS (SELECT FROM {inbox} WHERE id = $1 AND token = $2 AND state = $3))
    AS changed FROM (SELECT count(*) FROM durable) AS once"
    )
}

/// Completes the run of a handler in its own transaction: `$4` is the retention in microseconds,
/// `$5` whether the body is dropped.
fn complete_in(inbox: &str, claims: &str) -> String {
    format!(
        "WITH {DURABLE}, changed AS (
    UPDATE {inbox} SET state = 2, due = clock_timestamp() + $4 * interval '1 microsecond',
        body = CASE WHEN $5 THEN ''::bytea ELSE body END
    WHERE id = $1 AND token = $2 AND key = $3 AND state = 1
    RETURNING id, key, due
), ended AS (
    UPDATE {claims} AS claim SET ends = changed.due FROM changed
    WHERE claim.key = changed.key AND claim.token = changed.id
)
SELECT EXISTS (SELECT FROM changed) AS changed FROM (SELECT count(*) FROM durable) AS once"
    )
}

fn stats(inbox: &str) -> String {
    format!(
        "SELECT count(*) FILTER (WHERE due <= clock_timestamp()) AS ready,
    count(*) FILTER (WHERE state = 0 AND due > clock_timestamp()) AS waiting,
    count(*) FILTER (WHERE state = 1 AND due > clock_timestamp()) AS running,
    (extract(epoch FROM clock_timestamp() - min(due) FILTER (WHERE due <= clock_timestamp())) * 1000000)::bigint AS lag,
    (SELECT count(*) FROM {inbox} WHERE state = 3 AND {WITH_TENANTS}) AS dead
FROM {inbox} WHERE state < 2 AND {WITH_TENANTS}"
    )
}

/// Reads the catalog with joins alone, in one snapshot.
fn usable() -> String {
    format!(
        "SELECT inbox.oid IS NOT NULL AND pauses.oid IS NOT NULL AS present, obj.description AS version,
    has_table_privilege(inbox.oid, 'SELECT') AND has_table_privilege(inbox.oid, 'INSERT')
        AND has_table_privilege(inbox.oid, 'UPDATE') AND has_table_privilege(inbox.oid, 'DELETE')
        AND has_table_privilege(pauses.oid, 'SELECT') AS allowed
FROM (SELECT $1::text::name AS name) AS wanted
    LEFT JOIN pg_namespace AS space ON space.nspname = wanted.name
    LEFT JOIN pg_class AS inbox ON inbox.relnamespace = space.oid AND inbox.relname = {table}
    LEFT JOIN pg_class AS pauses ON pauses.relnamespace = space.oid AND pauses.relname = {pauses}
    LEFT JOIN pg_description AS obj ON obj.objoid = inbox.oid AND obj.classoid = 'pg_class'::regclass AND obj.objsubid = 0",
        table = literal(TABLE),
        pauses = literal(PAUSES)
    )
}
