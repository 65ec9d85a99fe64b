//! All observers of a receiver or a worker.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::observer::Observer;

/// All observers of a receiver or a worker. One that panics changes nothing: the panic is counted.
pub(crate) struct Observers {
    all: Vec<Arc<dyn Observer>>,
    /// The endpoint, or the worker's name.
    whose: Arc<str>,
    panics: AtomicU64,
}

impl Observers {
    pub(crate) fn new(all: Vec<Arc<dyn Observer>>, whose: Arc<str>) -> Self {
        Self { all, whose, panics: AtomicU64::new(0) }
    }

    /// Whether nobody observes.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Tells all of them.
    pub(crate) fn tell(&self, tell: impl Fn(&dyn Observer)) {
        for observer in &self.all {
            if catch_unwind(AssertUnwindSafe(|| tell(&**observer))).is_err() {
                self.panics.fetch_add(1, Ordering::Relaxed);
                self.tell_of_panic();
            }
        }
    }

    /// A panic over this news is the last that is caught: it is not news.
    fn tell_of_panic(&self) {
        for observer in &self.all {
            let _ = catch_unwind(AssertUnwindSafe(|| observer.observer_panicked(&self.whose)));
        }
    }

    /// How many panics were caught.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}
