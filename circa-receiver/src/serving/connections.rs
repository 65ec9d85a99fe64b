//! The open connections of a server: how long each may be without a request, and which gives way
//! where there are too many: the one that has been without an answer for longest, never the
//! newcomer (contract, section 1a).

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::limits::Limits;

/// All open connections of a server. Clones share everything.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    open: Mutex<Open>,
    /// Whether connections are to end after the request that they serve. The receivers are the open
    /// connections.
    is_stopping: watch::Sender<bool>,
}

/// Closes a connection.
type Close = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Open {
    next_number: u64,
    /// By number: the first has been without an answer for longest.
    by_age: BTreeMap<u64, Close>,
}

/// One open connection. Drop it when the connection has ended.
#[derive(Debug)]
pub struct Connection {
    connections: Connections,
    /// Locked before [`Inner::open`].
    state: Mutex<State>,
    is_stopping: watch::Receiver<bool>,
}

#[derive(Debug)]
struct State {
    number: u64,
    /// Requests whose answers have not ended; more than one over HTTP/2.
    exchanges: usize,
    /// Since when there is none.
    idle_since: Instant,
    /// How long there may be none: the head timeout until the first request, then the idle timeout.
    timeout: Duration,
}

/// A request of a connection, and its answer. Drop it when the answer has ended.
#[derive(Debug)]
pub struct Exchange(Arc<Connection>);

impl Connections {
    /// None yet, and within these limits.
    pub fn new(limits: Limits) -> Self {
        let is_stopping = watch::Sender::new(false);
        Self(Arc::new(Inner { limits, open: Mutex::default(), is_stopping }))
    }

    /// A new connection; where there are too many, another one gives way to it.
    ///
    /// `close` closes this one where it has to give way. It is called with all connections locked:
    /// it must not wait, nor call any of them.
    pub fn enter(&self, close: impl FnOnce() + Send + 'static) -> Connection {
        let mut open = self.lock();
        if open.by_age.len() >= self.0.limits.max_connections {
            open.evict_oldest();
        }
        let number = open.insert(Box::new(close));
        drop(open);
        let timeout = self.0.limits.head_timeout;
        let state = Mutex::new(State { number, exchanges: 0, idle_since: Instant::now(), timeout });
        Connection { connections: self.clone(), state, is_stopping: self.0.is_stopping.subscribe() }
    }

    /// Closes the one that has been without an answer for longest; whether there was one. Makes
    /// room where the process is short of descriptors.
    pub fn evict_oldest(&self) -> bool {
        self.lock().evict_oldest()
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
    fn insert(&mut self, close: Close) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.by_age.insert(number, close);
        number
    }

    fn evict_oldest(&mut self) -> bool {
        let Some((_, close)) = self.by_age.pop_first() else { return false };
        close();
        true
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("connections", &self.by_age.len()).finish_non_exhaustive()
    }
}

impl Connection {
    /// A request's head has arrived.
    pub fn begin(self: &Arc<Self>) -> Exchange {
        self.lock().exchanges += 1;
        Exchange(Arc::clone(self))
    }

    /// Waits until there has been no request for too long.
    pub async fn late(&self) {
        loop {
            let remaining = self.remaining();
            if remaining.is_zero() {
                return;
            }
            // Looked at again within each idle timeout: a first request may replace the head
            // timeout by a shorter one.
            sleep(remaining.min(self.idle_timeout())).await;
        }
    }

    /// Waits until the server stops.
    pub async fn stopping(&self) {
        let _ = self.is_stopping.clone().wait_for(|is_stopping| *is_stopping).await;
    }

    /// For how long it is not late, whatever comes.
    fn remaining(&self) -> Duration {
        let state = self.lock();
        if state.exchanges > 0 {
            return self.idle_timeout();
        }
        state.timeout.saturating_sub(state.idle_since.elapsed())
    }

    fn end(&self) {
        let mut state = self.lock();
        state.exchanges -= 1;
        (state.idle_since, state.timeout) = (Instant::now(), self.idle_timeout());
        // Now all others have been without an answer for longer.
        let mut open = self.connections.lock();
        if let Some(close) = open.by_age.remove(&state.number) {
            state.number = open.insert(close);
        }
    }

    fn idle_timeout(&self) -> Duration {
        self.connections.0.limits.idle_timeout
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let number = self.lock().number;
        self.connections.lock().by_age.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::time::timeout;

    use super::*;

    fn at_most(max_connections: usize) -> Connections {
        Connections::new(Limits { max_connections, ..Limits::default() })
    }

    #[test]
    fn the_one_without_an_answer_for_longest_gives_way() {
        let connections = at_most(2);
        let (closed, closes) = mpsc::channel();
        let enter = |name: &'static str| {
            let closed = closed.clone();
            Arc::new(connections.enter(move || closed.send(name).expect("the test listens")))
        };
        let (first, _second) = (enter("first"), enter("second"));
        drop(first.begin());
        let third = enter("third");
        drop(third);
        let _fourth = enter("fourth");
        assert_eq!(closes.try_iter().collect::<Vec<_>>(), ["second"], "what has ended leaves its place");
        while connections.evict_oldest() {}
        assert_eq!(closes.try_iter().collect::<Vec<_>>(), ["first", "fourth"]);
    }

    /// Contract, section 1a: 5 s for the head, 75 s for idle connections.
    #[tokio::test(start_paused = true)]
    async fn no_request_for_too_long_is_late() {
        let connection = Arc::new(at_most(1).enter(|| {}));
        let lasts = async |since: Instant, seconds| {
            connection.late().await;
            assert_eq!(since.elapsed().as_millis(), Duration::from_secs(seconds).as_millis());
        };
        lasts(Instant::now(), 5).await;
        // Two at once, which last for longer than may be idle.
        let (one, other) = (connection.begin(), connection.begin());
        for exchange in [one, other] {
            assert!(timeout(Duration::from_secs(1_000), connection.late()).await.is_err());
            drop(exchange);
        }
        lasts(Instant::now(), 75).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_all() {
        let connections = at_most(2);
        let connection = connections.enter(|| {});
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
