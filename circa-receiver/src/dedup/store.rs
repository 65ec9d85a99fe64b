//! The trait of a dedup store, and what is asked of it and answered.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use twox_hash::XxHash3_128;

use crate::error::StoreError;

use super::in_process::InProcessStore;

/// Where claims are kept. Every operation is one atomic step in the store.
///
/// The store's clock rules, never the caller's. A [`Token`] fences: `renew`, `complete` and `release` do nothing, and say so, if the claim
/// has since passed to another holder. Calls are bounded in time by the receiver (default 2 s each) and may be dropped at any await.
#[async_trait]
pub trait DedupStore: Send + Sync + 'static {
    /// Claims a key: won if it is absent, its lease has lapsed, or the same delivery (its nonce) holds it already.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot tell; the delivery is then answered 503, unless the user chose otherwise.
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError>;

    /// Prolongs the lease, from now. `false` if the claim has passed to another holder.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store failed.
    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError>;

    /// Marks the key done, for the retention from now. `false` if the claim has passed to another holder.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store failed.
    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError>;

    /// Gives the claim up, so that the next delivery of the event can have it. `false` if it has passed to another holder.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store failed.
    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError>;

    /// Forgets a key that is done, so that the event is handled again when it comes again. `false` if it was not done.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store failed.
    async fn forget(&self, key: &Key) -> Result<bool, StoreError>;

    /// The store as one that answers at once, if it is one: it is then called directly. `None` by default; see [`InProcessStore`].
    fn in_process(&self) -> Option<&dyn InProcessStore> {
        None
    }

    /// Whether the store can be reached and used, for health checks. A store that cannot fail need not implement it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it cannot.
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What identifies an event in a store: endpoint name and event id, length-prefixed so that no two pairs collide. Cheap to clone.
///
/// The memory stores keep a digest of it, see [`CompactMemoryStore`]; the others keep its bytes.
#[derive(Clone)]
pub struct Key {
    bytes: Arc<[u8]>,
    /// Taken once, under a seed of this process: a delivery looks into several maps, several times.
    digest: Digest,
}

impl Key {
    /// The key of an event at an endpoint.
    pub fn new(endpoint: &str, event_id: &str) -> Self {
        let length = (endpoint.len() as u64).to_be_bytes();
        // Copied once more into the `Arc`, which takes a fraction of the time that it takes to collect a chain byte by byte.
        let bytes: Arc<[u8]> = [&length, endpoint.as_bytes(), event_id.as_bytes()].concat().into();
        let digest = XxHash3_128::oneshot_with_seed(*DIGEST_SEED, &bytes);
        Self { bytes, digest: Digest((digest >> 64) as u64, digest as u64) }
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// The key as bytes: the endpoint name's length as 8 bytes big-endian, the name, the event id.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.bytes == other.bytes
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

/// The XXH3 of a key, of 128 bits, under a seed of this process. Among a million keys two share theirs with a probability of 1 in 2 to the 89th.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Digest(u64, u64);

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// A map by keys, which bring their digests with them.
pub(crate) type KeyMap<V> = HashMap<Key, V, BuildDigestHasher>;

pub(crate) type BuildDigestHasher = BuildHasherDefault<DigestHasher>;

/// Takes the digest of a [`Key`] as its hash: to hash it again for each of a dozen look-ups took a twentieth of a delivery's time.
#[derive(Clone, Copy, Default)]
pub(crate) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a digest hashes as one u64");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Not told to anyone: by it other keys could be found with the same digest.
static DIGEST_SEED: LazyLock<u64> = LazyLock::new(random);

fn random() -> u64 {
    RandomState::new().hash_one(0)
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.bytes.get(8..).unwrap_or_default().escape_ascii())
    }
}

/// The XXH3 of a body, by which a store tells that an event id came with another body. The same in every process and version.
///
/// It guards against a sender's mistake, not against forgery: what differs has been signed too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a body: its XXH3 of 128 bits big-endian, its length as 8 bytes big-endian, and zeros.
    pub(crate) fn of(body: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&XxHash3_128::oneshot(body).to_be_bytes());
        bytes[16..24].copy_from_slice(&(body.len() as u64).to_be_bytes());
        Self(bytes)
    }

    /// From the bytes of one.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

/// Names one delivery, so that its claim can be repeated when the store's answer was lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Nonce(pub u128);

impl Nonce {
    /// A number that no other delivery has: a random half per process, a counted half per delivery.
    pub(crate) fn fresh() -> Self {
        static PROCESS: LazyLock<u64> = LazyLock::new(random);
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(u128::from(*PROCESS) << 64 | u128::from(COUNT.fetch_add(1, Ordering::Relaxed)))
    }
}

/// Fences a claim: rises with every take-over of a key.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Token(pub u64);

/// What a delivery asks of a store.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRequest<'a> {
    key: &'a Key,
    fingerprint: Fingerprint,
    nonce: Nonce,
    lease: Duration,
    retention: Duration,
}

impl<'a> ClaimRequest<'a> {
    /// A request for `key` by the delivery `nonce` with the body `fingerprint`, held for `lease` unless renewed; `retention` is how long the
    /// store will be asked to remember the key once it is done.
    pub fn new(key: &'a Key, fingerprint: Fingerprint, nonce: Nonce, lease: Duration, retention: Duration) -> Self {
        Self { key, fingerprint, nonce, lease, retention }
    }

    /// The key to claim.
    pub fn key(&self) -> &'a Key {
        self.key
    }

    /// The body's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Which delivery asks.
    pub fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// For how long the claim holds unless it is renewed.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// For how long the store will be asked to remember the key once it is done.
    pub fn retention(&self) -> Duration {
        self.retention
    }
}

/// A store's answer to a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClaimAnswer {
    /// The claim is the caller's, until the lease lapses.
    Won(Token),
    /// Another delivery holds it.
    InProgress {
        /// When the lease lapses at the latest, unless it is renewed.
        retry_after: Duration,
    },
    /// The event was handled before.
    Done {
        /// Whether it then had the same body.
        same_body: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stores keep fingerprints across versions: the digests are those of `xxhash` for Python, another implementation.
    #[test]
    fn fingerprints_never_change() {
        for (body, digest) in [
            (b"{}".to_vec(), 0xdc7048f8f8747f561349cde127705c16),
            (vec![b'a'; 1_000], 0xb01da365eddaa29cb3e7af627147db7c_u128),
        ] {
            let mut expected = [0; 32];
            expected[..16].copy_from_slice(&digest.to_be_bytes());
            expected[16..24].copy_from_slice(&(body.len() as u64).to_be_bytes());
            assert_eq!(Fingerprint::of(&body).to_bytes(), expected, "{} bytes", body.len());
        }
    }
}
