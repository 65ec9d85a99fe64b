//! The open connections of a server that accepts them itself: where there are too many, the one
//! gives way that has been without an answer for longest, never the newcomer (contract, section
//! 1a).

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{Notify, watch};

/// All open connections of a server. Clones share everything.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    open: Mutex<Open>,
    /// Whether connections are to end after the request that they serve. The receivers are the open
    /// connections.
    is_stopping: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Open {
    next_number: u64,
    /// By number: the first has been without an answer for longest.
    by_age: BTreeMap<u64, Arc<Notify>>,
}

/// One open connection. Drop it when the connection has ended.
#[derive(Debug)]
pub struct Connection {
    connections: Connections,
    number: Mutex<u64>,
    evicted: Arc<Notify>,
    has_request: AtomicBool,
    is_stopping: watch::Receiver<bool>,
}

impl Connections {
    /// At most so many at once.
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Inner { max, open: Mutex::default(), is_stopping: watch::Sender::new(false) }))
    }

    /// A new connection; where there are too many, another one gives way.
    pub fn enter(&self) -> Connection {
        let evicted = Arc::new(Notify::new());
        let mut open = self.lock();
        if open.by_age.len() >= self.0.max {
            open.evict_oldest();
        }
        let number = Mutex::new(open.insert(Arc::clone(&evicted)));
        drop(open);
        let is_stopping = self.0.is_stopping.subscribe();
        Connection { connections: self.clone(), number, evicted, has_request: AtomicBool::new(false), is_stopping }
    }

    /// Makes room: where the process is short of descriptors.
    pub fn evict_oldest(&self) {
        self.lock().evict_oldest();
    }

    /// Ends all after the request that they serve, and waits for that.
    pub async fn stop(&self) {
        self.0.is_stopping.send_replace(true);
        self.0.is_stopping.closed().await;
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn insert(&mut self, evicted: Arc<Notify>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.by_age.insert(number, evicted);
        number
    }

    fn evict_oldest(&mut self) {
        if let Some((_, oldest)) = self.by_age.pop_first() {
            oldest.notify_one();
        }
    }
}

impl Connection {
    /// A request's head has arrived.
    pub fn requested(&self) {
        self.has_request.store(true, Ordering::Relaxed);
    }

    /// Whether a request's head has ever arrived.
    pub fn has_request(&self) -> bool {
        self.has_request.load(Ordering::Relaxed)
    }

    /// A request was answered: now all others are older.
    pub fn answered(&self) {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = self.connections.lock();
        if let Some(evicted) = open.by_age.remove(&number) {
            *number = open.insert(evicted);
        }
    }

    /// Waits until this connection is to give way.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// Waits until the server stops.
    pub async fn stopping(&self) {
        let _ = self.is_stopping.clone().wait_for(|is_stopping| *is_stopping).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let number = *self.number.lock().unwrap_or_else(PoisonError::into_inner);
        self.connections.lock().by_age.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn is_evicted(connection: &Connection) -> bool {
        timeout(Duration::from_millis(1), connection.evicted()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_without_an_answer_for_longest_gives_way() {
        let connections = Connections::new(2);
        let (first, second) = (connections.enter(), connections.enter());
        first.answered();
        let third = connections.enter();
        assert!(is_evicted(&second).await && !is_evicted(&first).await && !is_evicted(&third).await);
        drop(third);
        let fourth = connections.enter();
        assert!(!is_evicted(&first).await && !is_evicted(&fourth).await, "what has ended leaves its place");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_all() {
        let connections = Connections::new(2);
        let connection = connections.enter();
        let stop = tokio::spawn({
            let connections = connections.clone();
            async move { connections.stop().await }
        });
        connection.stopping().await;
        assert!(!stop.is_finished());
        drop(connection);
        stop.await.expect("it ends");
    }
}
