//! What the dedup stores are kept in: real servers, and a file.

use std::sync::{
    LazyLock,
    atomic::{AtomicUsize, Ordering},
};

pub(crate) use circa_receiver_test_support::redis::RedisCluster;
use circa_receiver_test_support::{Folder, postgres::PostgresServer, redis::RedisServer};

pub(crate) enum Server {
    /// Every write is on the disk before it is answered.
    Redis(RedisServer),
    Postgres(PostgresServer),
    /// A database of its own on a server that others use too.
    SharedPostgres {
        url: String,
    },
    /// Not a server: a file, which all processes open.
    Sqlite(Folder),
}

impl Server {
    pub(crate) fn redis() -> Self {
        Self::Redis(RedisServer::start_durable())
    }

    pub(crate) fn postgres() -> Self {
        Self::Postgres(PostgresServer::start())
    }

    /// As [`Server::postgres`], for tests that leave the server alone: to make one takes seconds.
    pub(crate) fn shared_postgres() -> Self {
        static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let database = format!("events_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        SERVER.sql(&format!("CREATE DATABASE {database}"));
        let url = SERVER.url();
        let server = url.strip_suffix("postgres").expect("the URL ends with the database");
        Self::SharedPostgres { url: format!("{server}{database}") }
    }

    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(Folder::new("sqlite"))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Redis(_) => "Redis",
            Self::Postgres(_) | Self::SharedPostgres { .. } => "PostgreSQL",
            Self::Sqlite(_) => "SQLite",
        }
    }

    /// For `STORE_URL`.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Redis(server) => server.url(),
            Self::Postgres(server) => server.url(),
            Self::SharedPostgres { url } => url.clone(),
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("claims.sqlite").display()),
        }
    }

    /// `kill -9`, and a new start with the same data.
    pub(crate) fn crash(&mut self) {
        match self {
            Self::Redis(server) => server.restart(),
            Self::Postgres(server) => server.restart(),
            Self::SharedPostgres { .. } => panic!("others use the server too"),
            Self::Sqlite(_) => panic!("a file has no process"),
        }
    }

    /// `kill -STOP`: connections stay open, and nothing answers.
    pub(crate) fn freeze(&self) {
        match self {
            Self::Redis(server) => server.freeze(),
            Self::Postgres(server) => server.freeze(),
            Self::SharedPostgres { .. } => panic!("others use the server too"),
            Self::Sqlite(_) => panic!("a file has no process"),
        }
    }

    /// Ends [`Server::freeze`].
    pub(crate) fn thaw(&self) {
        match self {
            Self::Redis(server) => server.thaw(),
            Self::Postgres(server) => server.thaw(),
            Self::SharedPostgres { .. } => panic!("others use the server too"),
            Self::Sqlite(_) => panic!("a file has no process"),
        }
    }
}
