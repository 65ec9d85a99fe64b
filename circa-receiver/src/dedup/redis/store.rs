//! The calls of the store in Redis.

use std::{
    fmt,
    future::Future,
    time::{Duration, Instant},
};

use ::redis::{FromRedisValue, RedisError};
use async_trait::async_trait;

use super::connection::Link;
use super::script::{Call, Stored};
use crate::dedup::key::Key;
use crate::dedup::store::{ClaimAnswer, ClaimRequest, DedupStore};
use crate::dedup::token::{Nonce, Token};
use crate::engine::server_clock::{ServerClock, micros};
use crate::error::StoreError;

const KEY_PREFIX: &str = "circa-receiver:";
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(150);

/// How long a key outlives the end of its claim, so that the next token is higher even where the
/// server's clock was set back meanwhile.
const MARGIN_MILLIS: u64 = 600_000;

#[doc = include_str!("store.md")]
pub struct RedisStore {
    link: Link,
    key_prefix: Vec<u8>,
    scripts: Scripts,
    clock: ServerClock,
}

struct Scripts {
    claim: Stored,
    renew: Stored,
    complete: Stored,
    release: Stored,
    withdraw: Stored,
    forget: Stored,
    check: Stored,
}

impl RedisStore {
    /// A store on the server at this URL: `redis://[user]:[password]@host:port/[database]`, or
    /// `rediss://` with the feature `redis-tls`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the URL cannot be read, or the server cannot be reached within 400 ms,
    /// refuses the login or takes no writes. The message says which, and never has the password.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::start(Link::single(url, RESPONSE_TIMEOUT)?).await
    }

    /// A store on a cluster, given the URLs of some of its nodes; the others are found. All have
    /// the same user and password.
    ///
    /// # Errors
    ///
    /// As [`RedisStore::connect`], within 650 ms.
    #[cfg(feature = "redis-cluster")]
    pub async fn connect_cluster(urls: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, StoreError> {
        let urls: Vec<String> = urls.into_iter().map(Into::into).collect();
        Self::start(Link::cluster(&urls, RESPONSE_TIMEOUT)?).await
    }

    /// The prefix of every key: `circa-receiver:` by default. Stores with different prefixes have
    /// no events in common.
    #[must_use]
    pub fn key_prefix(mut self, prefix: &str) -> Self {
        self.key_prefix = prefix.as_bytes().to_vec();
        self
    }

    /// How long the server may take to answer a command: 150 ms by default. A call that has to
    /// connect first may take 250 ms more, 500 ms on a cluster. Keep the sum below the receiver's
    /// store timeout of 2 s.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.link = self.link.response_timeout(timeout);
        self
    }

    async fn start(link: Link) -> Result<Self, StoreError> {
        let scripts = Scripts {
            claim: Stored::new(include_str!("claim.lua")),
            renew: Stored::new(include_str!("renew.lua")),
            complete: Stored::new(include_str!("complete.lua")),
            release: Stored::new(include_str!("release.lua")),
            withdraw: Stored::new(include_str!("withdraw.lua")),
            forget: Stored::new(include_str!("forget.lua")),
            check: Stored::new(include_str!("check.lua")),
        };
        link.connection().await.map_err(|error| link.refused(&error))?;
        let store = Self { link, key_prefix: KEY_PREFIX.into(), scripts, clock: ServerClock::default() };
        store.check().await?;
        Ok(store)
    }

    /// The bytes of a [`Key`] begin with NUL, so that two prefixes without NUL never make the same
    /// key.
    fn key(&self, key: &[u8]) -> Vec<u8> {
        [&self.key_prefix, key].concat()
    }

    /// Runs a call that may be repeated: once more where the connection was closed, as after a
    /// restart of the server.
    async fn run<T: FromRedisValue>(&self, call: &Call<'_>) -> Result<T, StoreError> {
        self.bounded(async {
            match self.attempt(call).await {
                Err(error) if error.is_connection_dropped() => self.attempt(call).await,
                answer => answer,
            }
        })
        .await
    }

    /// Runs a call that may not be repeated, because its second answer would differ from the first.
    async fn run_once<T: FromRedisValue>(&self, call: &Call<'_>) -> Result<T, StoreError> {
        self.bounded(self.attempt(call)).await
    }

    async fn attempt<T: FromRedisValue>(&self, call: &Call<'_>) -> Result<T, RedisError> {
        let mut numbered = self.link.connection().await?;
        let answer = call.run(&mut numbered.connection).await;
        match &answer {
            Ok(_) => numbered.note_answer(),
            Err(error) => self.link.replace_after(error, &numbered),
        }
        answer
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, RedisError>>) -> Result<T, StoreError> {
        match tokio::time::timeout(self.link.bound(), call).await {
            Ok(answer) => answer.map_err(|error| self.link.error(&error)),
            Err(_) => Err(StoreError::Timeout),
        }
    }

    async fn claim_once(&self, request: &ClaimRequest<'_>) -> Result<(i64, i64, i64), StoreError> {
        let wanted_until = self.clock.at(Instant::now()).saturating_add(micros(self.link.bound()));
        let lease = micros(request.lease());
        let call = self.scripts.claim.call(self.key(request.key().as_bytes()));
        let call = call
            .arg(&request.fingerprint().to_bytes()[..])
            .arg(&request.nonce().get().to_be_bytes()[..])
            .arg(lease)
            .arg(millis(request.lease()).saturating_add(MARGIN_MILLIS))
            .arg(wanted_until);
        let answer: (i64, i64, i64) = self.run(&call).await?;
        self.clock.heard(Instant::now(), answer.2);
        Ok(answer)
    }
}

#[async_trait]
impl DedupStore for RedisStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let mut answer = self.claim_once(&request).await?;
        if answer.0 == 0 {
            // The server's clock was not known yet, or was set forward: its answer has the time.
            answer = self.claim_once(&request).await?;
        }
        match answer {
            (0, _, _) => Err(StoreError::Timeout),
            (1, token, _) => Ok(ClaimAnswer::Won(Token::new(token.unsigned_abs()))),
            (2, left, _) => Ok(ClaimAnswer::InProgress { retry_after: Duration::from_micros(left.unsigned_abs()) }),
            (3, same_body, _) => Ok(ClaimAnswer::Done { same_body: same_body == 1 }),
            (other, _, _) => Err(StoreError::Failed(format!("the claim script answered {other}").into())),
        }
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        let call = self.scripts.renew.call(self.key(key.as_bytes()));
        self.run(&call.arg(digits(token)).arg(micros(lease)).arg(MARGIN_MILLIS)).await
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        let call = self.scripts.complete.call(self.key(key.as_bytes()));
        self.run(&call.arg(digits(token)).arg(millis(retention).max(1))).await
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        let call = self.scripts.release.call(self.key(key.as_bytes()));
        self.run(&call.arg(digits(token)).arg(MARGIN_MILLIS)).await
    }

    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
        let call = self.scripts.withdraw.call(self.key(key.as_bytes()));
        self.run(&call.arg(&nonce.get().to_be_bytes()[..]).arg(MARGIN_MILLIS)).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        let call = self.scripts.forget.call(self.key(key.as_bytes()));
        self.run_once(&call.arg(MARGIN_MILLIS)).await
    }

    /// Writes a key that expires after 1 s, on a cluster to one of its nodes: fails on a replica,
    /// on a full server, and for a user without the rights.
    async fn check(&self) -> Result<(), StoreError> {
        let now = self.run(&self.scripts.check.call(self.key(b"check"))).await?;
        self.clock.heard(Instant::now(), now);
        Ok(())
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("at", &format_args!("{}", self.link))
            .field("key_prefix", &format_args!("{}", self.key_prefix.escape_ascii()))
            .finish_non_exhaustive()
    }
}

/// A token as the scripts keep it: 16 digits. A number of more digits equals no token of theirs.
fn digits(token: Token) -> String {
    format!("{:016}", token.get())
}

/// Never less than [`micros`].
fn millis(time: Duration) -> u64 {
    micros(time).unsigned_abs().div_ceil(1_000)
}
