//! What identifies an event in a store.

use std::{fmt, sync::Arc};

/// What identifies an event in a store: endpoint name and event id, length-prefixed so that no two
/// pairs collide. Cheap to clone.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Key(Arc<[u8]>);

impl Key {
    /// The key of an event at an endpoint.
    pub fn new(endpoint: &str, event_id: &str) -> Self {
        let length = (endpoint.len() as u64).to_be_bytes();
        Self([&length, endpoint.as_bytes(), event_id.as_bytes()].concat().into())
    }

    /// The key as bytes: the endpoint name's length as 8 bytes big-endian, the name, the event id.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.get(8..).unwrap_or_default().escape_ascii())
    }
}
