//! The table that a call is about, and the errors of its calls as the operator reads them.
//!
//! No message holds a word of the URL but the host, the port and the role.

use sqlx::Error;

use super::trouble::Trouble;
use crate::error::StoreError;

/// What messages name of a store's tables.
pub(crate) struct Table {
    /// The schema as the user gave it, not quoted.
    pub(crate) schema: String,
    /// The type with `migrate`, `schema_sql` and `grants_sql`.
    pub(crate) store: &'static str,
}

impl Table {
    /// Whether PostgreSQL can have a schema of this name.
    pub(super) fn check_name(&self) -> Result<(), StoreError> {
        if self.schema.contains('\0') {
            return Err(StoreError::Failed(
                format!("the schema's name {:?} has a NUL character, which no name in PostgreSQL can have: choose another name", self.schema)
                    .into(),
            ));
        }
        Ok(())
    }

    /// An error, with what to do about it.
    pub(crate) fn explain(&self, error: Error) -> StoreError {
        if Trouble::of(&error) == Trouble::TooLate {
            return StoreError::Timeout;
        }
        let hint = error.as_database_error().and_then(|error| error.code()).and_then(|code| self.hint(&code));
        let hint = hint.or_else(|| match &error {
            Error::Tls(_) if cfg!(not(feature = "postgres-tls")) => {
                Some("turn on circa-receiver's feature `postgres-tls`, or set `sslmode=disable` in the URL".to_owned())
            }
            _ => None,
        });
        let text = match hint {
            Some(hint) => format!("PostgreSQL: {error}; {hint}"),
            None => format!("PostgreSQL: {error}"),
        };
        StoreError::Failed(text.into())
    }

    pub(crate) fn missing(&self) -> String {
        let Self { schema, store } = self;
        format!(
            "a table is missing in the schema {schema:?}: call `{store}::migrate` once, or run what `{store}::schema_sql` says"
        )
    }

    fn hint(&self, code: &str) -> Option<String> {
        let Self { schema, store, .. } = self;
        Some(match code {
            "42P01" | "3F000" => self.missing(),
            "42501" => format!(
                "the role needs USAGE on the schema {schema:?} and the sequence and SELECT, INSERT, UPDATE, DELETE on the table, which \
                 `{store}::grants_sql` spells; `migrate` needs CREATE on the schema"
            ),
            "25006" => "this is a standby or a read-only session: claims need the primary".to_owned(),
            "26000" | "42P05" => {
                "a pooler between must keep prepared statements: pgbouncer 1.21 or later with `max_prepared_statements`, or session pooling"
                    .to_owned()
            }
            "08P01" => "behind pgbouncer: `ignore_startup_parameters = extra_float_digits, options`".to_owned(),
            _ => return None,
        })
    }
}
