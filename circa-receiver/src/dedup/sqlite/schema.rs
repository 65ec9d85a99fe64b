//! The tables of a file: the claims, and what an inbox keeps beside them.
//!
//! One file serves a store and an inbox, so that turning the inbox on or off forgets nothing.

use crate::engine::sqlite::Schema;

/// The token of a claim is the number of its row: `AUTOINCREMENT` never gives a number out twice,
/// even when its row is gone, and every take-over makes a new row.
///
/// A key has at most one row, because only [`ClaimRows`](super::rows::ClaimRows) adds rows, and it
/// looks for one first. A unique index of the keys would say the same, and would have three times
/// the pages of an index of hashes, of which each claim writes one.
///
/// What an inbox keeps of an event is gone with its claim. Its body has a table of its own, since a
/// row is written anew with every change of its state.
pub(crate) const SCHEMA: Schema = Schema {
    sql: TABLES,
    // "circ" in ASCII.
    application: 0x6369_7263,
    version: 2,
    // Version 1 has no inbox. It takes what an inbox keeps for claims that are done, and leaves
    // them alone.
    usable_by: 1,
};

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS claims (
        token INTEGER PRIMARY KEY AUTOINCREMENT,
        key BLOB NOT NULL,
        hash INTEGER NOT NULL, -- of the key
        fingerprint BLOB NOT NULL,
        holder BLOB, -- the nonce of the delivery that has the claim; null when it is done, or kept for an inbox
        ends INTEGER NOT NULL -- of the lease or the retention, in milliseconds since 1970
    ) STRICT;
    CREATE INDEX IF NOT EXISTS claims_by_hash ON claims (hash);
    CREATE INDEX IF NOT EXISTS claims_by_end ON claims (ends);

    CREATE TABLE IF NOT EXISTS inbox (
        id INTEGER PRIMARY KEY REFERENCES claims ON DELETE CASCADE,
        endpoint TEXT NOT NULL,
        type TEXT NOT NULL,
        event TEXT NOT NULL, -- its id
        state INTEGER NOT NULL, -- 0 ready, 1 running, 2 done, 3 dead, 4 discarded
        due INTEGER NOT NULL, -- ready: not before; running: the lease ends; else: since; in milliseconds since 1970
        token INTEGER NOT NULL, -- rises with every lease
        attempts INTEGER NOT NULL,
        postponed INTEGER NOT NULL,
        arrived INTEGER NOT NULL,
        nonce BLOB NOT NULL, -- of the delivery that was accepted
        worker TEXT, -- that leased it last
        started INTEGER, -- when it did
        cause INTEGER, -- of a dead one: 0 permanent, 1 attempts, 2 unreadable
        error TEXT -- of the last attempt that failed
    ) STRICT;
    CREATE INDEX IF NOT EXISTS inbox_by_due ON inbox (endpoint, due) WHERE state < 2;
    CREATE INDEX IF NOT EXISTS inbox_by_death ON inbox (due) WHERE state = 3;

    CREATE TABLE IF NOT EXISTS inbox_bodies (
        id INTEGER PRIMARY KEY REFERENCES inbox ON DELETE CASCADE,
        details TEXT NOT NULL, -- what was verified, as JSON
        body BLOB NOT NULL
    ) STRICT;

    CREATE TABLE IF NOT EXISTS inbox_failures (
        id INTEGER NOT NULL REFERENCES inbox ON DELETE CASCADE,
        attempt INTEGER NOT NULL,
        worker TEXT,
        started INTEGER,
        ended INTEGER NOT NULL,
        error TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS inbox_failures_by_id ON inbox_failures (id);

    CREATE TABLE IF NOT EXISTS inbox_pauses (
        endpoint TEXT NOT NULL,
        type TEXT NOT NULL, -- empty: all types
        since INTEGER NOT NULL,
        PRIMARY KEY (endpoint, type)
    ) STRICT, WITHOUT ROWID;
";
