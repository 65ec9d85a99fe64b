//! The secrets of several tenants behind one route (contract, section 8b).
//!
//! 1. a name that no tenant can have is unknown without a look-up;
//! 2. an answer is kept for 60 s, "unknown" too, and concurrent look-ups of one tenant are one;
//! 3. where a signature does not fit, the secrets are looked up again, at most once in 5 s a
//!    tenant;
//! 4. where the source fails, the answer before goes on for up to 1 h;
//! 5. look-ups that run are bounded, and the oldest gives way: strangers can ask for as many names
//!    as they like (contract, section 1a).

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use moka::{
    future::Cache,
    ops::compute::{CompResult, Op},
};
use tokio::time::timeout;

use super::readers::Readers;
use crate::answer::Rejection;
use crate::clock::Clock;
use crate::error::BoxError;
use crate::event::{AnyEvent, Delivery};
use crate::panic;
use crate::verify::{Secrets, Verifier};

/// How long an answer is used before the source is asked again. A revoked secret is refused by
/// then.
const FRESH: Duration = Duration::from_secs(60);

/// The shortest time between two look-ups that a mismatch causes, and after a first look-up that
/// failed.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How long the last answer is used while the source fails.
const STALE: Duration = Duration::from_secs(3_600);

/// The most tenants cached, unknown ones included; about 1 KB each.
const MAX_TENANTS: u64 = 10_000;

/// The longest name of a tenant, in bytes.
const MAX_NAME: usize = 128;

/// Where the secrets of tenants are looked up: a table, a folder of files, a vault.
///
/// A receiver asks once in 60 s a tenant at most, and once more, at most every 5 s, where a
/// signature fits none of the secrets that it knows. It asks for unknown tenants too, in which
/// strangers choose the name: at most once in 60 s each.
///
/// ```
/// use circa_receiver::{BoxError, Receiver, Secret, SecretSource, Secrets, async_trait};
///
/// struct Fixed;
///
/// #[async_trait]
/// impl SecretSource for Fixed {
///     async fn secrets(&self, tenant: &str) -> Result<Option<Secrets>, BoxError> {
///         match tenant {
///             "acme" => Ok(Some(Secret::new("whsec_of_acme_0123456789")?.into())),
///             _ => Ok(None),
///         }
///     }
/// }
///
/// # fn main() -> Result<(), circa_receiver::ConfigError> {
/// // Mounted at a path with a segment `{tenant}`, as `/webhooks/circa/{tenant}`.
/// let receiver = Receiver::circa_for(Fixed).build()?;
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SecretSource: Send + Sync + 'static {
    /// The secrets of this tenant, `None` where there is no such tenant. The name is 1 to 128
    /// letters, digits, `_`, `-` or `.`, and does not begin with `.`: it may stand in a path.
    ///
    /// # Errors
    ///
    /// Where the source cannot say. The secrets that were known go on for up to 1 h; after that,
    /// and where none were known, deliveries are answered 503. It may take as long as the store
    /// timeout (default 2 s).
    async fn secrets(&self, tenant: &str) -> Result<Option<Secrets>, BoxError>;
}

/// The tenants of one receiver.
pub(super) struct Tenants(Arc<Inner>);

struct Inner {
    source: Arc<dyn SecretSource>,
    /// With the receiver's sender and tolerance; the tenants' are made from it.
    verifier: Verifier,
    endpoint: Arc<str>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    /// The look-ups that run. They hold no body: only their number counts.
    look_ups: Arc<Readers>,
    /// Its default policy keeps the tenants that are used, whatever names strangers make up.
    cache: Cache<Arc<str>, Cached>,
}

/// A tenant, as the source knew it.
pub(super) struct Tenant {
    name: Arc<str>,
    pub(super) endpoint: Arc<str>,
    pub(super) verifier: Verifier,
}

impl Tenant {
    /// An event of this tenant, at an endpoint of its own.
    pub(super) fn delivery(&self, event: AnyEvent) -> Delivery {
        Delivery::new(Arc::clone(&self.endpoint), event).of_tenant(Arc::clone(&self.name))
    }
}

/// What is known of a name. Times are of the receiver's monotonic clock.
#[derive(Clone, Default)]
struct Cached {
    /// `None` where there is no such tenant.
    tenant: Option<Arc<Tenant>>,
    /// When the source answered last.
    answered: Option<Duration>,
    /// When it was asked last.
    asked: Duration,
}

impl Cached {
    fn is_fresh(&self, now: Duration, least: Option<Duration>) -> bool {
        let until = least.unwrap_or(if self.answered.is_some() { FRESH } else { ASKED_AGAIN_AFTER });
        now.saturating_sub(self.asked) < until
    }
}

/// What became of a look-up: what is known now, and why the source failed.
type Asked = (Cached, Option<BoxError>);

impl Tenants {
    pub(super) fn new(
        source: Arc<dyn SecretSource>,
        verifier: Verifier,
        endpoint: Arc<str>,
        clock: Arc<dyn Clock>,
        timeout: Duration,
        max_look_ups: usize,
    ) -> Self {
        // By the system's clock: it only frees memory.
        let cache = Cache::builder().max_capacity(MAX_TENANTS).time_to_idle(2 * STALE).build();
        let look_ups = Arc::new(Readers::new(max_look_ups, 0));
        Self(Arc::new(Inner { source, verifier, endpoint, clock, timeout, look_ups, cache }))
    }

    /// The tenant of this name, `None` where there is none. `tell` gets the error of the source.
    pub(super) async fn find(
        &self,
        name: Option<&str>,
        tell: impl Fn(&BoxError),
    ) -> Result<Option<Arc<Tenant>>, Rejection> {
        let Some(name) = name.filter(|name| is_name(name)) else { return Ok(None) };
        let now = || self.0.clock.monotonic();
        let cached = match self.0.cache.get(name).await.filter(|cached| cached.is_fresh(now(), None)) {
            Some(cached) => cached,
            None => self.ask(name.into(), None, tell).await,
        };
        let is_known = cached.answered.is_some_and(|answered| now().saturating_sub(answered) <= STALE);
        if is_known { Ok(cached.tenant) } else { Err(Rejection::SecretsUnavailable) }
    }

    /// The tenant with the secrets of now, where these are newer and may be asked for.
    pub(super) async fn find_newer(&self, tenant: &Arc<Tenant>, tell: impl Fn(&BoxError)) -> Option<Arc<Tenant>> {
        let cached = self.ask(Arc::clone(&tenant.name), Some(ASKED_AGAIN_AFTER), tell).await;
        cached.tenant.filter(|newer| !Arc::ptr_eq(newer, tenant))
    }

    /// Asks the source, unless it was asked meanwhile, in a task of its own: a sender that hangs up
    /// does not stop it, or whoever hangs up again and again would have it asked as often.
    async fn ask(&self, name: Arc<str>, least: Option<Duration>, tell: impl Fn(&BoxError)) -> Cached {
        let inner = Arc::clone(&self.0);
        let asked = tokio::spawn(async move { inner.ask(name, least).await }).await;
        // A task that did not end was stopped with its runtime.
        let (cached, failure) = asked.unwrap_or_default();
        failure.iter().for_each(tell);
        cached
    }
}

impl Inner {
    async fn ask(&self, name: Arc<str>, least: Option<Duration>) -> Asked {
        let mut failure = None;
        let asking = self.cache.entry(Arc::clone(&name)).and_compute_with(async |entry| {
            let known = entry.map(moka::Entry::into_value);
            let now = self.clock.monotonic();
            if known.as_ref().is_some_and(|known| known.is_fresh(now, least)) {
                return Op::Nop;
            }
            let look_up = self.look_ups.register(0).unless_evicted(self.look_up(&name));
            match look_up.await {
                Some(Ok(secrets)) => {
                    let tenant = secrets.map(|secrets| Arc::new(self.tenant(&name, &secrets)));
                    Op::Put(Cached { tenant, answered: Some(now), asked: now })
                }
                Some(Err(error)) => {
                    failure = Some(error);
                    Op::Put(Cached { asked: now, ..known.unwrap_or_default() })
                }
                // It gave way to a newer one: the source has not failed, and may be asked at once.
                None => Op::Nop,
            }
        });
        let cached = match asking.await {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) | CompResult::Unchanged(entry) => {
                entry.into_value()
            }
            CompResult::Removed(_) | CompResult::StillNone(_) => Cached::default(),
        };
        (cached, failure)
    }

    async fn look_up(&self, name: &str) -> Result<Option<Secrets>, BoxError> {
        match timeout(self.timeout, panic::catch(|| self.source.secrets(name))).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => Err(format!("the source {panic}").into()),
            Err(_) => Err(format!("the source has not answered within {:?}", self.timeout).into()),
        }
    }

    fn tenant(&self, name: &Arc<str>, secrets: &Secrets) -> Tenant {
        let endpoint = format!("{}/{name}", self.endpoint).into();
        Tenant { name: Arc::clone(name), endpoint, verifier: self.verifier.with(secrets) }
    }
}

/// Whether a tenant can have this name: it may stand in a path, a key and a log line.
fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_part)
}
