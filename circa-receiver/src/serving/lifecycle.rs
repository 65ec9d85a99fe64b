//! From the first signal to the end of the process.

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{limits::Limits, readiness::Readiness};
use crate::receiver::Receiver;

/// How long load balancers may take to see that the process is not ready: two checks of every 2 s.
const GRACE: Duration = Duration::from_secs(5);

/// How long requests that arrived while the listener closed may be read before the intake stops.
const SETTLE: Duration = Duration::from_millis(500);

/// How long connections may stay open after the drain, for the last answers to be written.
const HARD_END: Duration = Duration::from_secs(2);

/// The life of a server, of which an adapter supplies the parts.
///
/// On SIGTERM or Ctrl-C readiness falls at once; for the grace (default 5 s) the listener goes on
/// accepting; then it is closed, and half a second later the intake; the receivers drain (default
/// 20 s); what is still open after that has 2 s. A second signal ends all of it at once.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    readiness: Readiness,
    grace: Duration,
    limits: Limits,
    /// Listening from the beginning on; taken by [`Lifecycle::run`].
    signals: Arc<Mutex<Option<io::Result<Signals>>>>,
}

impl Lifecycle {
    /// Of a server with these receivers. Signals that come from now on are heard.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new(receivers: impl IntoIterator<Item = Receiver>) -> Self {
        let readiness = Readiness::new(receivers.into_iter().collect());
        let signals = Arc::new(Mutex::new(Some(Signals::listen())));
        Self { readiness, grace: GRACE, limits: Limits::default(), signals }
    }

    /// How long the listener goes on accepting after a signal; 5 s by default.
    pub fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// How many connections may be open; 8,192 by default.
    pub fn set_max_connections(&mut self, connections: usize) {
        self.limits.max_connections = connections;
    }

    /// How long a connection may stay open without a request; 75 s by default, at least 1 ms.
    pub fn set_idle_timeout(&mut self, timeout: Duration) {
        self.limits.idle_timeout = timeout.max(Duration::from_millis(1));
    }

    /// For health checks.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Of the server's connections, as far as the process may have descriptors, of which each
    /// connection takes so many.
    pub fn limits(&self, descriptors_each: usize) -> Limits {
        self.limits.within_descriptors(descriptors_each)
    }

    /// Accepts until the first signal and the end of the grace, then closes the listener and waits
    /// for its connections, drains the receivers, and ends the rest.
    ///
    /// `accept` is dropped, or, where it ends by itself, its result returned; `close` may take half
    /// a second, `end` 2 s.
    ///
    /// # Errors
    ///
    /// Those of `accept`, and where the system lets nobody listen for signals.
    pub async fn run(
        &self,
        accept: impl Future<Output = io::Result<()>>,
        close: impl Future<Output = ()>,
        end: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let (first, stop) = oneshot::channel();
        let signals = self.signals.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut signals = signals.unwrap_or_else(Signals::listen)?;
        let second = async {
            signals.next().await;
            let _ = first.send(());
            signals.next().await;
        };
        tokio::select! {
            biased;
            result = self.serve(accept, stop, close, end) => result,
            () = second => Ok(()),
        }
    }

    async fn serve(
        &self,
        accept: impl Future<Output = io::Result<()>>,
        stop: oneshot::Receiver<()>,
        close: impl Future<Output = ()>,
        end: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let told = async {
            let _ = stop.await;
            self.readiness.fall();
            note("not ready any more");
            sleep(self.grace).await;
        };
        // Who has connected by the end of the grace is accepted first: the listener is closed then,
        // which resets the others.
        tokio::select! {
            biased;
            result = accept => return result,
            () = told => {}
        }
        let _ = timeout(SETTLE, close).await;
        let receivers = self.readiness.receivers();
        receivers.stop_intake();
        note("stopping");
        receivers.shutdown().await;
        if timeout(HARD_END, end).await.is_err() {
            note("stopped with connections still open");
        }
        Ok(())
    }
}

/// Logs it, whatever the process's subscriber does.
fn note(_what: &'static str) {
    #[cfg(feature = "tracing")]
    crate::observe::catch(|| tracing::info!(target: "circa_receiver", "{_what}"));
}

/// SIGTERM and Ctrl-C.
#[cfg(unix)]
#[derive(Debug)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
#[derive(Debug)]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(all(test, feature = "tracing"))]
mod tests {
    use std::{
        cell::Cell,
        future::{poll_fn, ready},
        task::Poll,
    };

    use tokio::time::Instant;
    use tracing::{Event, Metadata, Subscriber, span, subscriber::with_default};

    use super::*;
    use crate::observe::TracingObserver;

    struct Panics;

    impl Subscriber for Panics {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, _: &Event<'_>) {
            // Without the message of a panic in the output of the tests.
            std::panic::resume_unwind(Box::new("on purpose"));
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    /// Contract, section 1: a logger that panics loses no event, as the end of the stop would.
    #[test]
    fn a_subscriber_that_panics_does_not_end_the_stop() {
        let before = TracingObserver::span_panics();
        with_default(Panics, || note("stopping"));
        assert!(TracingObserver::span_panics() > before);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_connected_by_the_end_of_the_grace_is_accepted() {
        for _ in 0..32 {
            let lifecycle = Lifecycle::new([]);
            let (stopped, stop) = oneshot::channel();
            stopped.send(()).expect("it is waited for");
            let (started, last_looked) = (Instant::now(), Cell::new(None));
            let accept = poll_fn(|_| {
                last_looked.set(Some(started.elapsed()));
                Poll::Pending
            });
            lifecycle.serve(accept, stop, ready(()), ready(())).await.expect("nothing fails");
            assert_eq!(last_looked.get(), Some(GRACE));
        }
    }
}
