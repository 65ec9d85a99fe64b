//! The server: an application over HTTP/1.1, with limits against strangers, and with an end that
//! loses no delivery.

use std::{
    future::pending, io, net::Shutdown, net::TcpListener, num::NonZero, thread::available_parallelism, time::Duration,
};

use actix_web::{
    App, Error, HttpRequest, HttpServer, Route,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    rt, web,
};
use circa_receiver::{
    Receiver, Worker,
    serving::{Lifecycle, Probe},
};
use socket2::SockRef;

use crate::serve::{Closing, convert};

/// What the kernel keeps of connections that were not accepted yet.
const BACKLOG: u32 = 1_024;

/// How long connections may stay open once all handlers have ended, in seconds.
const CONNECTIONS_MAY_STAY: u64 = 1;

/// Serves an application with these receivers until SIGTERM or Ctrl-C: [`Server`] with its
/// defaults.
///
/// # Errors
///
/// Where the system lets nobody accept connections or listen for signals.
pub async fn serve<F, T, B>(
    listener: TcpListener,
    app: F,
    receivers: impl IntoIterator<Item = Receiver>,
) -> io::Result<()>
where
    F: Fn() -> App<T> + Send + Clone + 'static,
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<B>, Error = Error, InitError = ()>
        + 'static,
    B: MessageBody + 'static,
{
    Server::new(receivers).serve(listener, app).await
}

/// A server for an application with receivers.
///
/// It speaks HTTP/1.1. The first head of a connection may take 5 s, and a connection may be idle
/// for 75 s. At most 8,192 connections are open, or as many as the process may have descriptors
/// for; beyond that newcomers wait. How it ends: [`Lifecycle`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Server {
    lifecycle: Lifecycle,
    #[cfg(feature = "http2")]
    h2c: bool,
}

impl Server {
    /// With the receivers that the application mounts.
    pub fn new(receivers: impl IntoIterator<Item = Receiver>) -> Self {
        Self {
            lifecycle: Lifecycle::new(receivers),
            #[cfg(feature = "http2")]
            h2c: false,
        }
    }

    /// Has [`Server::readyz`] count a worker in that runs in this process what its receivers put in
    /// an inbox.
    pub fn worker(self, worker: Worker) -> Self {
        self.lifecycle.readiness().watch(worker);
        self
    }

    /// How long connections are accepted after SIGTERM, until load balancers go elsewhere; 5 s by
    /// default.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.lifecycle.set_grace(grace);
        self
    }

    /// How many connections may be open; 8,192 by default, and never more than the process may have
    /// descriptors for.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.lifecycle.set_max_connections(connections);
        self
    }

    /// Also speaks HTTP/2 without TLS, to clients that begin with it. Dangerous in front of
    /// strangers on actix-web, which sets no limit on lists of headers.
    #[cfg(feature = "http2")]
    pub fn dangerous_h2c(mut self) -> Self {
        self.h2c = true;
        self
    }

    /// A route for liveness checks: 200 as long as the process answers.
    pub fn livez(&self) -> Route {
        self.probe(Probe::Live)
    }

    /// A route for readiness checks: 200, or 503 where a dedup store or an inbox cannot be used
    /// (asked at most once a second), where a [worker](Server::worker) is not healthy, and from
    /// SIGTERM on.
    pub fn readyz(&self) -> Route {
        self.probe(Probe::Ready)
    }

    /// Serves until SIGTERM or Ctrl-C, and the end of what was begun by then.
    ///
    /// # Errors
    ///
    /// Where the system lets nobody listen for signals, or start threads.
    pub async fn serve<F, T, B>(self, listener: TcpListener, app: F) -> io::Result<()>
    where
        F: Fn() -> App<T> + Send + Clone + 'static,
        T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<B>, Error = Error, InitError = ()>
            + 'static,
        B: MessageBody + 'static,
    {
        let limits = self.lifecycle.limits();
        let workers = available_parallelism().map_or(1, NonZero::get);
        let accepting = listener.try_clone()?;
        let server = HttpServer::new(app)
            .workers(workers)
            .max_connections((limits.max_connections / workers).max(1))
            .client_request_timeout(limits.head_timeout)
            .keep_alive(limits.idle_timeout)
            // The answer's body has drained the request's already.
            .client_disconnect_timeout(Duration::ZERO)
            .shutdown_timeout(CONNECTIONS_MAY_STAY)
            .backlog(BACKLOG)
            .on_connect(|_, connection| {
                connection.insert(Closing::default());
            })
            .disable_signals();
        #[cfg(feature = "http2")]
        let server = if self.h2c { server.listen_auto_h2c(listener)? } else { server.listen(listener)? };
        #[cfg(not(feature = "http2"))]
        let server = server.listen(listener)?;
        let server = server.run();
        let handle = server.handle();
        let server = rt::spawn(server);
        let accept = async { server.await? };
        let close = async {
            // Handlers live on the server's threads, which end with it: the server must not stop
            // before they have ended, but nobody may connect any more.
            handle.pause().await;
            let _ = SockRef::from(&accepting).shutdown(Shutdown::Both);
            pending().await
        };
        // In a block: `stop` stops when it is called, not when it is awaited.
        let end = async { handle.stop(true).await };
        self.lifecycle.run(accept, close, end).await
    }

    fn probe(&self, probe: Probe) -> Route {
        let readiness = self.lifecycle.readiness().clone();
        web::route().to(move |request: HttpRequest| {
            let readiness = readiness.clone();
            async move { convert(readiness.answer(request.method().as_str(), probe).await) }
        })
    }
}
