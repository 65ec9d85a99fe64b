//! The connection to Redis: one that all calls share, made when it is needed, and replaced after an
//! error.
//!
//! Not the connection manager of `redis`: it keeps a connection whose server no longer answers
//! until the TCP timeout, up to a quarter of an hour, and it does not reconnect after a login that
//! failed once.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline, RedisError,
    RedisFuture, RedisResult, ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
#[cfg(feature = "redis-cluster")]
use ::redis::{cluster::ClusterClientBuilder, cluster_async::ClusterConnection, io::tcp::TcpSettings};

use crate::error::StoreError;

/// How long a connection and its login may take.
const CONNECTION_TIMEOUT: Duration = Duration::from_millis(250);

/// As above on a cluster, where the slots are read too, and the nodes are connected to.
#[cfg(feature = "redis-cluster")]
const CLUSTER_TIMEOUT: Duration = Duration::from_millis(500);

/// The connection to a cluster reconnects to single nodes by itself, and works with the nodes that
/// answer: it is replaced only when no node has answered for so long.
#[cfg(feature = "redis-cluster")]
const CLUSTER_SILENCE: Duration = Duration::from_secs(2);

/// Where the server is, how long it may take, and the connection to it.
pub(super) struct Link {
    target: Target,
    response_timeout: Duration,
    shared: Mutex<Option<Numbered>>,
    /// Locked while a connection is made, so that all who wait share it.
    connecting: tokio::sync::Mutex<()>,
    made: AtomicU64,
}

enum Target {
    Single(Box<ConnectionInfo>),
    #[cfg(feature = "redis-cluster")]
    Cluster(Vec<ConnectionInfo>),
}

/// A connection and its number, so that a late error of an old connection does not replace its
/// successor.
#[derive(Clone)]
pub(super) struct Numbered {
    number: u64,
    pub(super) connection: Connection,
    /// When a call on it was last answered.
    answered: Arc<Mutex<Instant>>,
}

#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    #[cfg(feature = "redis-cluster")]
    Cluster(ClusterConnection),
}

impl Link {
    pub(super) fn single(url: &str, response_timeout: Duration) -> Result<Self, StoreError> {
        Ok(Self::new(Target::Single(parse(url)?.into()), response_timeout))
    }

    #[cfg(feature = "redis-cluster")]
    pub(super) fn cluster(urls: &[String], response_timeout: Duration) -> Result<Self, StoreError> {
        let nodes: Vec<_> = urls.iter().map(|url| parse(url)).collect::<Result<_, _>>()?;
        if nodes.is_empty() {
            return Err(StoreError::Failed("no URL of a Redis cluster's node was given; give at least one".into()));
        }
        Ok(Self::new(Target::Cluster(nodes), response_timeout))
    }

    fn new(target: Target, response_timeout: Duration) -> Self {
        let (shared, connecting) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { target, response_timeout, shared, connecting, made: AtomicU64::new(0) }
    }

    /// The same server; the connection is made anew.
    pub(super) fn response_timeout(self, response_timeout: Duration) -> Self {
        Self::new(self.target, response_timeout)
    }

    /// The longest that a call may take: it may have to connect first.
    pub(super) fn bound(&self) -> Duration {
        self.response_timeout.saturating_add(self.target.connection_timeout())
    }

    /// The shared connection, made if there is none.
    pub(super) async fn connection(&self) -> RedisResult<Numbered> {
        if let Some(numbered) = self.shared().clone() {
            return Ok(numbered);
        }
        let _connecting = self.connecting.lock().await;
        if let Some(numbered) = self.shared().clone() {
            return Ok(numbered);
        }
        let connection = self.target.connect(self.response_timeout).await?;
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let numbered = Numbered { number, connection, answered: Arc::new(Mutex::new(Instant::now())) };
        *self.shared() = Some(numbered.clone());
        Ok(numbered)
    }

    /// Replaces the connection after an error that another connection may not have. Calls that wait
    /// on it still get their answers.
    pub(super) fn replace_after(&self, error: &RedisError, failed: &Numbered) {
        let server_is_fine = match error.kind() {
            ErrorKind::Server(kind) => !matches!(
                kind,
                // The server has become a replica: the name may lead to another one by now.
                ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading
            ),
            ErrorKind::Extension => error.code() != Some("NOAUTH"),
            _ => false,
        };
        if server_is_fine || failed.works_in_part() {
            return;
        }
        let mut shared = self.shared();
        if shared.as_ref().is_some_and(|numbered| numbered.number == failed.number) {
            *shared = None;
        }
    }

    fn shared(&self) -> MutexGuard<'_, Option<Numbered>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error for logs, without the password, which a server may repeat in its message.
    pub(super) fn error(&self, error: &RedisError) -> StoreError {
        if error.is_timeout() {
            return StoreError::Timeout;
        }
        StoreError::Failed(self.without_password(error.to_string()).into())
    }

    /// As [`Link::error`], with the address, for someone who has just configured it.
    pub(super) fn refused(&self, error: &RedisError) -> StoreError {
        let why = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
        StoreError::Failed(format!("cannot connect to Redis at {self}: {}", self.without_password(why)).into())
    }

    fn without_password(&self, text: String) -> String {
        let passwords = self.target.nodes().iter().filter_map(|node| node.redis_settings().password());
        passwords.filter(|password| !password.is_empty()).fold(text, |text, password| text.replace(password, "***"))
    }
}

impl Numbered {
    /// Notes that a call was answered.
    pub(super) fn note_answer(&self) {
        *self.answered() = Instant::now();
    }

    /// Whether other nodes of a cluster still answer on it.
    fn works_in_part(&self) -> bool {
        match self.connection {
            Connection::Single(_) => false,
            #[cfg(feature = "redis-cluster")]
            Connection::Cluster(_) => self.answered().elapsed() < CLUSTER_SILENCE,
        }
    }

    fn answered(&self) -> MutexGuard<'_, Instant> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, node) in self.target.nodes().iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, node.addr())?;
        }
        Ok(())
    }
}

impl Target {
    fn nodes(&self) -> &[ConnectionInfo] {
        match self {
            Self::Single(node) => std::slice::from_ref(node),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(nodes) => nodes,
        }
    }

    fn connection_timeout(&self) -> Duration {
        match self {
            Self::Single(_) => CONNECTION_TIMEOUT,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(_) => CLUSTER_TIMEOUT,
        }
    }

    async fn connect(&self, response_timeout: Duration) -> RedisResult<Connection> {
        match self {
            Self::Single(node) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECTION_TIMEOUT))
                    .set_response_timeout(Some(response_timeout));
                let client = Client::open((**node).clone())?;
                let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                Ok(Connection::Single(connection))
            }
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(nodes) => {
                let client = ClusterClientBuilder::new(nodes.clone())
                    .tcp_settings(with_short_timeout())
                    .connection_timeout(CONNECTION_TIMEOUT)
                    .response_timeout(response_timeout)
                    // Few and short, so that they end within the bound of a call.
                    .retries(2)
                    .max_retry_wait(50)
                    .build()?;
                let connect = tokio::time::timeout(CLUSTER_TIMEOUT, client.get_async_connection());
                let timed_out = |_| RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
                Ok(Connection::Cluster(connect.await.map_err(timed_out)??))
            }
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// Settings with which a connection to a node that no longer answers fails after a second, where
/// the system supports it, and not after a quarter of an hour.
#[cfg(feature = "redis-cluster")]
fn with_short_timeout() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(Duration::from_secs(1));
    settings
}

/// The message does not repeat the URL, which may have a password.
fn parse(url: &str) -> Result<ConnectionInfo, StoreError> {
    let advice = "expected redis://[user]:[password]@host:port/[database], or rediss:// with the feature redis-tls";
    url.into_connection_info()
        .map_err(|error| StoreError::Failed(format!("not a URL of a Redis server, {advice}: {error}").into()))
}
