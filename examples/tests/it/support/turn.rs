//! Whose turn it is on the machine: what loads it runs alone, and what judges a time runs while
//! nothing loads it.
//!
//! All tests are threads of one program. A turn is taken before anything is started whose deadlines
//! must hold, and kept to the end.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static MACHINE: RwLock<()> = RwLock::const_new(());

/// A turn of its own, for a test that needs all processors, or much memory.
pub(crate) async fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().await
}

/// A turn beside others of its kind, for a test whose receivers have to answer within deadlines.
pub(crate) async fn unhurried() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().await
}
