//! A dedup store or an inbox behind an injector of faults.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::injector::FaultInjector;
use crate::inbox::Wake;

/// A dedup store or an inbox behind a [`FaultInjector`]. Clones share the injector.
#[derive(Clone)]
pub struct Faulty<S> {
    pub(super) inner: S,
    pub(super) injector: FaultInjector,
    /// The events that were leased from an inbox, by its numbers of them.
    leased: Arc<Mutex<HashMap<u64, String>>>,
    /// A worker is woken by its own process alone; others look by themselves.
    pub(super) wake: Wake,
}

impl FaultInjector {
    /// Puts a dedup store or an inbox behind the injector.
    pub fn around<S>(&self, inner: S) -> Faulty<S> {
        Faulty { inner, injector: self.clone(), leased: Arc::default(), wake: Wake::default() }
    }
}

impl<S> Faulty<S> {
    pub(super) fn leased(&self) -> MutexGuard<'_, HashMap<u64, String>> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("injector", &self.injector).finish_non_exhaustive()
    }
}
