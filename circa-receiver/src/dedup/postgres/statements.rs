//! The SQL of the store: one statement for each operation, every name qualified and quoted, every
//! time the server's own.
//!
//! Time is `clock_timestamp()`, never `now()`, which is the start of the transaction, before its
//! waits for row locks.

use std::sync::Arc;

use sqlx::{Postgres, postgres::PgArguments, query::Query};

use crate::engine::postgres::Table;

/// A statement with its values.
pub(crate) type Asked = Query<'static, Postgres, PgArguments>;

pub(crate) const CLAIMS_TABLE: &str = "circa_receiver_claims";
pub(crate) const TOKENS_SEQUENCE: &str = "circa_receiver_tokens";

/// When an event ends that an inbox has not ended yet. Not `infinity`, from which nothing can be
/// subtracted.
pub(crate) const NEVER: &str = "timestamptz '9999-01-01 00:00:00+00'";

/// How long a row is kept after its end, so that a late holder can complete its claim if nobody
/// took over.
const GRACE: &str = "interval '1 hour'";

/// The server's clock in microseconds since 1970.
const CLOCK: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// Overrules `synchronous_commit = off` for this transaction, so that an answer is durable. All
/// other settings (`local`, `remote_write`, `on`, `remote_apply`) are the user's choice.
pub(crate) const DURABLE: &str = "durable AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'
)";

pub(super) struct Statements {
    pub(super) table: Table,
    pub(super) claim: Arc<str>,
    pub(super) renew: Arc<str>,
    pub(super) complete: Arc<str>,
    pub(super) release: Arc<str>,
    pub(super) withdraw: Arc<str>,
    pub(super) cap: Arc<str>,
    pub(super) forget: Arc<str>,
    pub(super) usable: Arc<str>,
    pub(super) sweep: Arc<str>,
    /// The table and the sequence as SQL, qualified and quoted.
    claims: String,
    tokens: String,
}

impl Statements {
    pub(super) fn new(schema: &str) -> Self {
        let table = format!("{}.{}", identifier(schema), identifier(CLAIMS_TABLE));
        let tokens = format!("{}.{}", identifier(schema), identifier(TOKENS_SEQUENCE));
        let token = format!("nextval({}::regclass)", literal(&tokens));
        Self {
            table: Table { schema: schema.to_owned(), store: "PostgresStore" },
            claim: claim(&table, &token).into(),
            // A lease that has lapsed is renewed as long as nobody has taken the claim over.
            renew: change(&format!(
                "UPDATE {table} SET ends = clock_timestamp() + $3 * interval '1 microsecond'
    WHERE key = $1 AND token = $2 AND NOT done"
            )),
            // $4: the call is repeated because its connection broke, and the first try may have
            // been committed. Tokens are unique, so that a row that is done with this token was
            // completed by this holder.
            complete: change(&format!(
                "UPDATE {table} SET done = true, ends = clock_timestamp() + $3 * interval '1 microsecond'
    WHERE key = $1 AND token = $2 AND (NOT done OR $4)"
            )),
            // The row stays without a holder: the next token of the key is drawn under the lock of
            // the row, and so is higher than this one, however slow a call is.
            release: change_or(
                &format!(
                    "UPDATE {table} SET token = 0, ends = clock_timestamp() WHERE key = $1 AND token = $2 AND NOT done"
                ),
                &format!("$3 AND {}", is_free(&table)),
            ),
            withdraw: change(&format!(
                "UPDATE {table} SET token = 0, ends = clock_timestamp()
    WHERE key = $1 AND nonce = $2 AND NOT done AND token <> 0"
            )),
            // For a clock that was set back: an entry in progress would outlast every lease.
            cap: change(&format!(
                "UPDATE {table} SET ends = clock_timestamp() + $2 * interval '1 microsecond'
    WHERE key = $1 AND NOT done AND token <> 0 AND ends > clock_timestamp() + $2 * interval '1 microsecond'"
            )),
            forget: forget(&table),
            usable: usable().into(),
            sweep: sweep(&table).into(),
            claims: table,
            tokens,
        }
    }

    /// The same, with the type in messages that has `migrate`, `schema_sql` and `grants_sql`.
    pub(super) fn of(mut self, store: &'static str) -> Self {
        self.table.store = store;
        self
    }

    /// What makes the table, where it is not there.
    pub(super) fn schema_sql(&self, version: &str) -> String {
        let Self { claims, tokens, .. } = self;
        let version = literal(version);
        // No index but that of the key: every renewal and every `complete` would have to write to
        // one on `ends`. The order of the columns needs no padding.
        format!(
            "CREATE SEQUENCE IF NOT EXISTS {tokens};
CREATE TABLE IF NOT EXISTS {claims} (
    token bigint NOT NULL,
    ends timestamptz NOT NULL,
    done boolean NOT NULL,
    key bytea NOT NULL PRIMARY KEY,
    nonce bytea NOT NULL,
    fingerprint bytea NOT NULL
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE {claims} IS {version};
"
        )
    }

    pub(super) fn create_schema_sql(&self) -> String {
        format!("CREATE SCHEMA IF NOT EXISTS {}", identifier(&self.table.schema))
    }

    pub(super) fn grants_sql(&self, role: &str) -> String {
        let Self { claims, tokens, .. } = self;
        let (schema, role) = (identifier(&self.table.schema), identifier(role));
        format!(
            "GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {claims} TO {role};
GRANT USAGE ON SEQUENCE {tokens} TO {role};
"
        )
    }
}

/// Reads first, and inserts only where the key seems free, so that a duplicate costs a read and no
/// commit.
///
/// The read sees the table as it was when the statement began, the insert as it is now. So there is
/// a third answer beside "won" and "held": another claim came between, and the caller asks again.
/// `$5` is the time by the server's clock after which the caller does not wait any more; it is
/// compared again after a wait for the lock of the row.
fn claim(table: &str, token: &str) -> String {
    format!(
        "WITH {DURABLE}, seen AS MATERIALIZED (
    SELECT done, ends, fingerprint = $3 AS same_body,
        token <> 0 AND ends > clock_timestamp() AND (done OR nonce <> $2) AS held
    FROM {table} WHERE key = $1
), won AS (
    INSERT INTO {table} AS old (key, nonce, fingerprint, token, done, ends)
    SELECT $1, $2, $3, {token}, false, clock_timestamp() + $4 * interval '1 microsecond'
    WHERE {CLOCK} <= $5 AND NOT EXISTS (SELECT FROM seen WHERE held)
    ON CONFLICT (key) DO UPDATE SET
        token = CASE
            WHEN NOT old.done AND old.nonce = excluded.nonce AND old.token <> 0 AND old.ends > clock_timestamp() THEN old.token
            ELSE {token}
        END,
        nonce = excluded.nonce, fingerprint = excluded.fingerprint, done = false, ends = excluded.ends
    WHERE {CLOCK} <= $5
        AND (old.token = 0 OR old.ends <= clock_timestamp() OR (NOT old.done AND old.nonce = excluded.nonce))
    RETURNING token
)
SELECT (SELECT token FROM won) AS token, seen.held, seen.done, seen.same_body,
    (extract(epoch FROM seen.ends - clock_timestamp()) * 1000000)::bigint AS remaining,
    {CLOCK} AS clock
FROM (SELECT count(*) FROM durable) AS once LEFT JOIN seen ON true"
    )
}

/// Never of what an inbox has not handled yet.
fn forget(table: &str) -> Arc<str> {
    let update = format!(
        "UPDATE {table} SET token = 0, done = false, ends = clock_timestamp()
    WHERE key = $1 AND done AND ends > clock_timestamp() AND ends < {NEVER}"
    );
    change_or(&update, &format!("$2 AND {}", is_free(table)))
}

/// Whether the row is there without a holder, as a call leaves it that is repeated because its
/// connection broke.
fn is_free(table: &str) -> String {
    format!("EXISTS (SELECT FROM {table} WHERE key = $1 AND token = 0)")
}

/// An update of one row, which answers whether it found the row.
fn change(update: &str) -> Arc<str> {
    change_or(update, "false")
}

/// As [`change`]; it also answers `true` where the row is found `changed_before`.
fn change_or(update: &str, changed_before: &str) -> Arc<str> {
    format!(
        "WITH {DURABLE}, changed AS (
    {update}
    RETURNING 1
)
SELECT EXISTS (SELECT FROM changed) OR ({changed_before}) AS changed FROM (SELECT count(*) FROM durable) AS once"
    )
    .into()
}

/// Reads the catalog with joins alone, in one snapshot: `to_regclass` may find a table that is
/// newer than that snapshot. `$1` is cut to 63 bytes, as names are.
fn usable() -> String {
    format!(
        "SELECT claims.oid IS NOT NULL AND tokens.oid IS NOT NULL AS present, obj.description AS version, NOT pg_is_in_recovery() AS writable,
    has_schema_privilege(space.oid, 'USAGE')
        AND has_table_privilege(claims.oid, 'SELECT') AND has_table_privilege(claims.oid, 'INSERT')
        AND has_table_privilege(claims.oid, 'UPDATE') AND has_table_privilege(claims.oid, 'DELETE')
        AND has_sequence_privilege(tokens.oid, 'USAGE') AS allowed
FROM (SELECT $1::text::name AS name) AS wanted
    LEFT JOIN pg_namespace AS space ON space.nspname = wanted.name
    LEFT JOIN pg_class AS claims ON claims.relnamespace = space.oid AND claims.relname = {table}
    LEFT JOIN pg_class AS tokens ON tokens.relnamespace = space.oid AND tokens.relname = {tokens}
    LEFT JOIN pg_description AS obj ON obj.objoid = claims.oid AND obj.classoid = 'pg_class'::regclass AND obj.objsubid = 0",
        table = literal(CLAIMS_TABLE),
        tokens = literal(TOKENS_SEQUENCE)
    )
}

/// Deletes rows that have ended in a range of pages, found without an index, at most `$3` of them.
/// Locked rows are skipped. The commit does not wait for the disk: rows that a crash brings back
/// are swept again.
fn sweep(table: &str) -> String {
    let name = literal(table);
    format!(
        "WITH quick AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
), gone AS (
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {table}
        WHERE ctid >= $1::text::tid AND ctid < $2::text::tid AND ends <= clock_timestamp() - {GRACE}
        LIMIT $3 FOR UPDATE SKIP LOCKED
    )) AND ends <= clock_timestamp() - {GRACE}
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, pg_relation_size({name}::regclass) / current_setting('block_size')::bigint AS pages
FROM quick"
    )
}

/// A name as SQL, whatever characters it has.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL, whatever characters it has, and whatever `standard_conforming_strings` is.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

#[cfg(test)]
mod tests {
    use super::{identifier, literal};

    #[test]
    fn names_and_texts_cannot_end_their_quotes() {
        for (name, as_identifier, as_literal) in [
            ("public", r#""public""#, "'public'"),
            (r#"a"b"#, r#""a""b""#, r#"'a"b'"#),
            ("a'b", r#""a'b""#, "'a''b'"),
            (r"a\'b", r#""a\'b""#, r"E'a\\''b'"),
        ] {
            assert_eq!(identifier(name), as_identifier, "{name}");
            assert_eq!(literal(name), as_literal, "{name}");
        }
    }
}
