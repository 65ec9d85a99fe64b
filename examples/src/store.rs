//! The dedup store or the inbox that `STORE_URL` names: one for both senders, and for all processes
//! that name the same.
//!
//! The URL may hold a password, so no message repeats a word of it but a host, a port, a user or a
//! path.

use std::{fmt::Display, sync::Arc};

use circa_receiver::{
    DedupStore, Inbox, MemoryStore, PostgresInbox, PostgresStore, ReceiverBuilder, RedisStore, SqliteInbox, SqliteStore,
};

use crate::{BoxError, environment::variable};

const FORMS: &str = "memory:, sqlite:PATH, redis://[user]:[password]@host:port/[database] (several, separated by commas, are nodes of one cluster) or \
                     postgres://user:password@host:port/database";

/// What remembers the events of both senders.
pub(crate) enum Kept {
    /// Events are handled before they are answered.
    Store(Arc<dyn DedupStore>),
    /// Events are stored before they are answered.
    Inbox(Arc<dyn Inbox>),
}

impl Kept {
    /// A receiver that uses it.
    pub(crate) fn give_to(&self, builder: ReceiverBuilder) -> ReceiverBuilder {
        match self {
            Self::Store(store) => builder.dedup(Arc::clone(store)),
            Self::Inbox(inbox) => builder.inbox(Arc::clone(inbox)),
        }
    }
}

/// Opened and found usable; a PostgreSQL database has its tables afterwards. An inbox where `INBOX`
/// is set.
pub(crate) async fn from_env() -> Result<Kept, BoxError> {
    open(&url()?, variable("INBOX").is_some()).await
}

/// As [`from_env`], of this URL.
pub(crate) async fn open(url: &str, is_inbox: bool) -> Result<Kept, BoxError> {
    let named = Named::parse(url).map_err(refused)?;
    Ok(if is_inbox { Kept::Inbox(named.open_inbox().await?) } else { Kept::Store(named.open().await?) })
}

/// As [`from_env`] where `INBOX` is set.
pub(crate) async fn inbox_from_env() -> Result<Arc<dyn Inbox>, BoxError> {
    Named::parse(&url()?).map_err(refused)?.open_inbox().await
}

/// Whether `INBOX` is set, and this process is to run what is in it.
pub(crate) fn has_worker() -> bool {
    variable("INBOX").is_some_and(|inbox| inbox != "accept")
}

fn url() -> Result<String, BoxError> {
    let url = variable("STORE_URL").unwrap_or_else(|| "memory:".into());
    url.into_string().map_err(|_| refused("it is not UTF-8"))
}

fn refused(why: impl Display) -> BoxError {
    format!("STORE_URL was refused: {why}; its forms are {FORMS}").into()
}

#[derive(Debug, PartialEq)]
enum Named<'u> {
    Memory,
    Sqlite(&'u str),
    Redis(&'u str),
    Cluster(Vec<&'u str>),
    Postgres(&'u str),
}

impl<'u> Named<'u> {
    fn parse(url: &'u str) -> Result<Self, &'static str> {
        if url.trim() != url {
            return Err("white space stands around it, trim it");
        }
        let (scheme, rest) = url.split_once(':').ok_or("it begins with none of the known schemes")?;
        match scheme {
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err("nothing may stand behind `memory:`"),
            "sqlite" => match rest.strip_prefix("//").unwrap_or(rest) {
                "" => Err("the path behind `sqlite:` is empty"),
                path => Ok(Self::Sqlite(path)),
            },
            "redis" | "rediss" => Self::redis(url),
            "postgres" | "postgresql" => server(rest).map(|()| Self::Postgres(url)),
            _ => Err("it begins with none of the known schemes"),
        }
    }

    fn redis(urls: &'u str) -> Result<Self, &'static str> {
        let nodes: Vec<_> = urls.split(',').collect();
        for node in &nodes {
            match node.split_once(':') {
                Some(("rediss", _)) if cfg!(not(feature = "tls")) => {
                    return Err("`rediss:` needs the feature `tls` of circa-receiver-examples");
                }
                Some(("redis" | "rediss", rest)) => server(rest)?,
                _ => {
                    return Err(
                        "each of several URLs begins with `redis://`, and a comma inside of one is written %2C",
                    );
                }
            }
        }
        Ok(if let [node] = nodes[..] { Self::Redis(node) } else { Self::Cluster(nodes) })
    }

    async fn open(self) -> Result<Arc<dyn DedupStore>, BoxError> {
        Ok(match self {
            Self::Memory => Arc::new(MemoryStore::default()),
            Self::Sqlite(path) => Arc::new(SqliteStore::open(path).map_err(refused)?),
            Self::Redis(url) => Arc::new(RedisStore::connect(url).await.map_err(refused)?),
            Self::Cluster(urls) => Arc::new(RedisStore::connect_cluster(urls).await.map_err(refused)?),
            Self::Postgres(url) => {
                let store = PostgresStore::connect_lazy(url).map_err(refused)?;
                store.migrate().await.map_err(refused)?;
                store.check().await.map_err(refused)?;
                Arc::new(store)
            }
        })
    }

    async fn open_inbox(self) -> Result<Arc<dyn Inbox>, BoxError> {
        Ok(match self {
            Self::Sqlite(path) => Arc::new(SqliteInbox::open(path).map_err(refused)?),
            Self::Postgres(url) => {
                let inbox = PostgresInbox::connect_lazy(url).map_err(refused)?;
                inbox.migrate().await.map_err(refused)?;
                inbox.validate().await.map_err(refused)?;
                Arc::new(inbox)
            }
            Self::Memory | Self::Redis(_) | Self::Cluster(_) => {
                return Err(refused(
                    "with INBOX it is sqlite: or postgres:, since the others answer before an event is safe",
                ));
            }
        })
    }
}

/// What follows the scheme of a server's URL must name one. Where a password holds a `/`, `?` or
/// `#` that is not percent-encoded, its beginning would be taken for the port, and shown.
fn server(rest: &str) -> Result<(), &'static str> {
    let address = rest.strip_prefix("//").ok_or("`//` must follow the scheme")?;
    let end = address.find(['/', '?', '#']).unwrap_or(address.len());
    if address[end..].contains('@') {
        return Err("`/`, `?` and `#` in a password are written %2F, %3F and %23");
    }
    if address.is_empty() {
        return Err("no host follows the scheme");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Named;

    #[test]
    fn each_form_names_its_store() {
        let cases = [
            ("memory:", Named::Memory),
            ("sqlite:claims.sqlite", Named::Sqlite("claims.sqlite")),
            ("sqlite:/var/lib/app/claims.sqlite", Named::Sqlite("/var/lib/app/claims.sqlite")),
            ("sqlite:///var/lib/app/claims.sqlite", Named::Sqlite("/var/lib/app/claims.sqlite")),
            ("redis://localhost", Named::Redis("redis://localhost")),
            ("redis://:word%2C@localhost:6379/1", Named::Redis("redis://:word%2C@localhost:6379/1")),
            ("redis://one,redis://two:7", Named::Cluster(vec!["redis://one", "redis://two:7"])),
            ("postgres://me@localhost/app", Named::Postgres("postgres://me@localhost/app")),
            ("postgresql://localhost", Named::Postgres("postgresql://localhost")),
        ];
        for (url, named) in cases {
            assert_eq!(Named::parse(url), Ok(named), "{url}");
        }
    }
}
