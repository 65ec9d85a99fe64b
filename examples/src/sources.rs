//! Where the secrets of tenants may be looked up: a table of PostgreSQL, or a folder of files.

use std::{fs, io, path::PathBuf};

use circa_receiver::{Secret, SecretSource, Secrets, async_trait};
use sqlx::PgPool;

use crate::BoxError;

/// A row for each secret of a tenant, the newest first tried: rotate with an `INSERT`, and `DELETE`
/// the former one later.
#[derive(Clone, Debug)]
pub struct TableSource(PgPool);

impl TableSource {
    /// Over this pool. Give it an `acquire_timeout` below the store timeout of 2 s.
    pub fn new(pool: PgPool) -> Self {
        Self(pool)
    }

    /// Makes the table, where it is not there.
    ///
    /// # Errors
    ///
    /// Where the database cannot be reached, or refuses.
    pub async fn migrate(&self) -> Result<(), BoxError> {
        let table = "CREATE TABLE IF NOT EXISTS webhook_secrets (
            tenant text NOT NULL, secret text NOT NULL, made timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (tenant, secret))";
        sqlx::query(table).execute(&self.0).await?;
        Ok(())
    }
}

#[async_trait]
impl SecretSource for TableSource {
    async fn secrets(&self, tenant: &str) -> Result<Option<Secrets>, BoxError> {
        let newest = "SELECT secret FROM webhook_secrets WHERE tenant = $1 ORDER BY made DESC LIMIT 8";
        let secrets: Vec<String> = sqlx::query_scalar(newest).bind(tenant).fetch_all(&self.0).await?;
        of_lines(secrets.iter().map(String::as_str))
    }
}

/// A file for each tenant, with its name and a secret on each line: rotate by writing the new one
/// above the former.
#[derive(Clone, Debug)]
pub struct FolderSource(PathBuf);

impl FolderSource {
    /// Over this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }
}

#[async_trait]
impl SecretSource for FolderSource {
    async fn secrets(&self, tenant: &str) -> Result<Option<Secrets>, BoxError> {
        // The receiver lets no name through that leads out of the folder.
        let file = self.0.join(tenant);
        match tokio::task::spawn_blocking(|| fs::read_to_string(file)).await? {
            Ok(text) => of_lines(text.lines()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// `None` for none: a tenant whose secrets were all taken away is unknown.
fn of_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Option<Secrets>, BoxError> {
    let secrets: Vec<_> = lines.map(Secret::new).collect::<Result<_, _>>()?;
    Ok(if secrets.is_empty() { None } else { Some(Secrets::new(secrets)?) })
}
