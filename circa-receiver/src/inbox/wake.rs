//! Tells the workers of this process that an event may be ready.

use std::sync::Arc;

use tokio::sync::watch;

/// Tells the workers of this process that an event may be ready, so that they need not wait for
/// their next look. Clones are the same.
#[derive(Clone, Debug)]
pub struct Wake(Arc<watch::Sender<()>>);

impl Default for Wake {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(())))
    }
}

impl Wake {
    /// An event may be ready.
    pub fn notify(&self) {
        self.0.send_replace(());
    }

    /// What sees every notification from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
