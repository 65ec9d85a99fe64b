//! The table of claims, and the operations on it, in a transaction that holds the lock of the file.
//!
//! What an inbox has accepted is a row here too, without a holder: to claims it is done. So either
//! mode knows what the other has handled.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Result, named_params};
use twox_hash::XxHash3_64;

use crate::dedup::fingerprint::Fingerprint;
use crate::dedup::key::Key;
use crate::dedup::store::ClaimAnswer;
use crate::dedup::token::{Nonce, Token};
use crate::engine::sqlite::Group;

/// How long the row of a lapsed claim is kept, in milliseconds, so that a late holder can complete
/// it if nobody took over.
const GRACE: i64 = 600_000;

/// How many rows one sweep removes at most: more than a group can add, so that the sweep keeps up.
const SWEEP: i64 = 512;

/// When a row ends that an inbox has not ended yet: never.
const UNENDING: i64 = i64::MAX;

/// The table, in the transaction of a group.
pub(crate) struct ClaimRows<'a> {
    connection: &'a Connection,
    /// In milliseconds since 1970, by SQLite's clock.
    now: i64,
}

struct Row {
    token: i64,
    fingerprint: [u8; 32],
    holder: Option<[u8; 16]>,
    ends: i64,
}

/// What came of keeping a key for an inbox.
pub(crate) enum Kept {
    /// It was unknown. The number of its row.
    New(i64),
    /// It is done, or an inbox has it already.
    Known { row: i64, same_body: bool },
    /// A delivery in dedup mode holds it.
    InProgress { retry_after: Duration },
}

impl<'a> ClaimRows<'a> {
    pub(crate) fn new(group: &Group<'a>) -> Self {
        Self { connection: group.connection, now: group.now }
    }

    pub(crate) fn claim(
        &self,
        key: &Key,
        fingerprint: Fingerprint,
        nonce: Nonce,
        lease: Duration,
    ) -> Result<ClaimAnswer> {
        let (nonce, ends) = (nonce.get().to_be_bytes(), self.end(lease));
        // Most events are new: one statement for them.
        if self.insert(key, fingerprint, Some(nonce), ends)? {
            return Ok(self.won());
        }
        match self.find(key)?.filter(|row| self.now < row.ends) {
            Some(Row { holder: None, fingerprint: handled, .. }) => {
                Ok(ClaimAnswer::Done { same_body: handled == fingerprint.to_bytes() })
            }
            Some(Row { holder: Some(holder), token, .. }) if holder == nonce => {
                self.set_end(token, ends)?;
                Ok(ClaimAnswer::Won(Token::new(token.unsigned_abs())))
            }
            Some(Row { ends: until, token, .. }) => {
                // The clock was set back since the lease was granted: without the cap the entry
                // would outlast every lease.
                if ends < until {
                    self.set_end(token, ends)?;
                }
                Ok(ClaimAnswer::InProgress { retry_after: Duration::from_millis(ends.min(until).abs_diff(self.now)) })
            }
            None => {
                self.replace(key, fingerprint, Some(nonce), ends)?;
                Ok(self.won())
            }
        }
    }

    /// Keeps a key for an inbox, until [`ClaimRows::end_kept`].
    pub(crate) fn keep(&self, key: &Key, fingerprint: Fingerprint) -> Result<Kept> {
        if self.insert(key, fingerprint, None, UNENDING)? {
            return Ok(Kept::New(self.connection.last_insert_rowid()));
        }
        match self.find(key)?.filter(|row| self.now < row.ends) {
            Some(Row { holder: None, fingerprint: known, token, .. }) => {
                Ok(Kept::Known { row: token, same_body: known == fingerprint.to_bytes() })
            }
            Some(Row { ends, .. }) => {
                Ok(Kept::InProgress { retry_after: Duration::from_millis(ends.abs_diff(self.now)) })
            }
            None => {
                self.replace(key, fingerprint, None, UNENDING)?;
                Ok(Kept::New(self.connection.last_insert_rowid()))
            }
        }
    }

    /// Has a key that was kept for an inbox end after the retention.
    pub(crate) fn end_kept(&self, row: i64, retention: Duration) -> Result<bool> {
        self.set_end(row, self.end(retention))
    }

    /// Has a key that was kept for an inbox stay without an end again.
    pub(crate) fn keep_on(&self, row: i64) -> Result<bool> {
        self.set_end(row, UNENDING)
    }

    /// Adds a row, unless the key has one.
    fn insert(&self, key: &Key, fingerprint: Fingerprint, holder: Option<[u8; 16]>, ends: i64) -> Result<bool> {
        self.write(
            "INSERT INTO claims (key, hash, fingerprint, holder, ends) SELECT :key, :hash, :fingerprint, :holder, :ends
             WHERE NOT EXISTS (SELECT 1 FROM claims WHERE hash = :hash AND key = :key)",
            named_params! { ":key": key.as_bytes(), ":hash": stable_hash(key), ":fingerprint": fingerprint.to_bytes(), ":holder": holder, ":ends": ends },
        )
    }

    /// Takes over a row that has ended: in a new row, whose token is higher.
    fn replace(&self, key: &Key, fingerprint: Fingerprint, holder: Option<[u8; 16]>, ends: i64) -> Result<bool> {
        self.write(
            "DELETE FROM claims WHERE hash = :hash AND key = :key",
            named_params! { ":hash": stable_hash(key), ":key": key.as_bytes() },
        )?;
        self.insert(key, fingerprint, holder, ends)
    }

    /// The claim of the row that was inserted last.
    fn won(&self) -> ClaimAnswer {
        ClaimAnswer::Won(Token::new(self.connection.last_insert_rowid().unsigned_abs()))
    }

    pub(crate) fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool> {
        self.write(
            "UPDATE claims SET ends = :ends WHERE token = :token AND key = :key AND holder IS NOT NULL",
            named_params! { ":ends": self.end(lease), ":token": number(token), ":key": key.as_bytes() },
        )
    }

    pub(crate) fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool> {
        self.write(
            "UPDATE claims SET holder = NULL, ends = :ends WHERE token = :token AND key = :key AND holder IS NOT NULL",
            named_params! { ":ends": self.end(retention), ":token": number(token), ":key": key.as_bytes() },
        )
    }

    pub(crate) fn release(&self, key: &Key, token: Token) -> Result<bool> {
        self.write(
            "DELETE FROM claims WHERE token = :token AND key = :key AND holder IS NOT NULL",
            named_params! { ":token": number(token), ":key": key.as_bytes() },
        )
    }

    pub(crate) fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool> {
        self.write(
            "DELETE FROM claims WHERE hash = :hash AND key = :key AND holder = :holder",
            named_params! { ":hash": stable_hash(key), ":key": key.as_bytes(), ":holder": nonce.get().to_be_bytes() },
        )
    }

    /// Never of what an inbox has not handled yet.
    pub(crate) fn forget(&self, key: &Key) -> Result<bool> {
        self.write(
            "DELETE FROM claims WHERE hash = :hash AND key = :key AND holder IS NULL AND ends > :now AND ends < :unending",
            named_params! { ":hash": stable_hash(key), ":key": key.as_bytes(), ":now": self.now, ":unending": UNENDING },
        )
    }

    /// Writes to the file without a change.
    pub(crate) fn touch(&self) -> Result<()> {
        let version: i64 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        self.connection.pragma_update(None, "user_version", version)
    }

    /// Removes rows that ended long ago, a bounded number. Whether there may be more of them.
    pub(crate) fn sweep(&self) -> Result<bool> {
        let mut oldest = self.connection.prepare_cached(
            "DELETE FROM claims WHERE token IN (SELECT token FROM claims WHERE ends <= ?1 ORDER BY ends LIMIT ?2)",
        )?;
        let swept = oldest.execute([self.now.saturating_sub(GRACE), SWEEP])?;
        Ok(i64::try_from(swept) == Ok(SWEEP))
    }

    fn find(&self, key: &Key) -> Result<Option<Row>> {
        let find = "SELECT token, fingerprint, holder, ends FROM claims WHERE hash = :hash AND key = :key";
        let mut find = self.connection.prepare_cached(find)?;
        let row = find.query_row(named_params! { ":hash": stable_hash(key), ":key": key.as_bytes() }, |row| {
            Ok(Row { token: row.get(0)?, fingerprint: row.get(1)?, holder: row.get(2)?, ends: row.get(3)? })
        });
        row.optional()
    }

    /// Whether the statement changed a row.
    fn write(&self, statement: &str, parameters: &[(&str, &dyn rusqlite::ToSql)]) -> Result<bool> {
        Ok(self.connection.prepare_cached(statement)?.execute(parameters)? > 0)
    }

    fn set_end(&self, token: i64, ends: i64) -> Result<bool> {
        self.write(
            "UPDATE claims SET ends = :ends WHERE token = :token",
            named_params! { ":ends": ends, ":token": token },
        )
    }

    fn end(&self, after: Duration) -> i64 {
        self.now.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)).min(UNENDING - 1)
    }
}

/// XXH3 of a key's bytes, of 64 bits: the same in every process and version. Two keys may have the
/// same hash.
fn stable_hash(key: &Key) -> i64 {
    i64::from_be_bytes(XxHash3_64::oneshot(key.as_bytes()).to_be_bytes())
}

/// Rows count from 1: 0, for a token beyond SQLite's integers, finds none.
fn number(token: Token) -> i64 {
    i64::try_from(token.get()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::schema::SCHEMA;
    use super::*;

    /// Files outlive versions: with another hash no row would be found, and every event would be
    /// handled again. The known answer is from `xxhash` for Python, another implementation.
    #[test]
    fn the_hash_never_changes() {
        assert_eq!(stable_hash(&Key::new("circa", "evt_1")), 8_909_158_178_735_083_420);
    }

    #[test]
    fn keys_of_one_hash_stay_two() {
        const HOUR: Duration = Duration::from_secs(3_600);
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA.sql).unwrap();
        let rows = ClaimRows::new(&Group::new(&connection).unwrap());
        let (first, second) = (Key::new("circa", "first"), Key::new("circa", "second"));
        let claim = |key| rows.claim(key, Fingerprint::from_bytes([7; 32]), Nonce::new(7), HOUR).unwrap();

        let ClaimAnswer::Won(token) = claim(&first) else { panic!("fresh") };
        assert!(rows.complete(&first, token, HOUR).unwrap());
        connection.execute("UPDATE claims SET hash = ?1", [stable_hash(&second)]).unwrap();

        let ClaimAnswer::Won(token) = claim(&second) else { panic!("taken for the other") };
        assert!(rows.complete(&second, token, HOUR).unwrap());
        assert!(rows.forget(&second).unwrap());
        let left: Vec<u8> = connection.query_row("SELECT key FROM claims", [], |row| row.get(0)).unwrap();
        assert_eq!(left, first.as_bytes());
    }
}
