//! The server: an application over HTTP/1.1, with limits against strangers, and with an end that
//! loses no delivery.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Error, Router,
    body::{Body, Bytes, HttpBody},
    http::Method,
    response::Response,
    routing::{MethodRouter, any},
};
use circa_receiver::{
    Receiver, Worker,
    serving::{Connection, Connections, Exchange, Lifecycle, Probe},
};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{rt::TokioIo, server::graceful::GracefulConnection};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::sleep,
};
use tower_service::Service;

/// As actix-web's: a head may take so many bytes.
const HEAD_BYTES: usize = 32 * 1_024;

/// A connection takes its socket.
const DESCRIPTORS_EACH: usize = 1;

/// Where no connection can be accepted, for want of descriptors.
const ACCEPTED_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Serves an application with these receivers until SIGTERM or Ctrl-C: [`Server`] with its
/// defaults.
///
/// # Errors
///
/// Where the system lets nobody accept connections or listen for signals.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    receivers: impl IntoIterator<Item = Receiver>,
) -> io::Result<()> {
    Server::new(receivers).serve(listener, app).await
}

/// A server for an application with receivers.
///
/// It speaks HTTP/1.1. The first head of a connection may take 5 s, and a connection may be idle
/// for 75 s. At most 8,192 connections are open, or as many as the process may have descriptors
/// for; beyond that the one is closed that has been without an answer for longest. How it ends:
/// [`Lifecycle`].
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

    /// How long a connection may be without a request; 75 s by default, at least 1 ms. It has to be
    /// longer than that of the proxy in front.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.lifecycle.set_idle_timeout(timeout);
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
    pub fn livez<S: Clone + Send + Sync + 'static>(&self) -> MethodRouter<S> {
        self.probe(Probe::Live)
    }

    /// A route for readiness checks: 200, or 503 where a dedup store or an inbox cannot be used
    /// (asked at most once a second), where a [worker](Server::worker) is not healthy, and from
    /// SIGTERM on.
    pub fn readyz<S: Clone + Send + Sync + 'static>(&self) -> MethodRouter<S> {
        self.probe(Probe::Ready)
    }

    /// Serves until SIGTERM or Ctrl-C, and the end of what was begun by then.
    ///
    /// # Errors
    ///
    /// Where the system lets nobody listen for signals.
    pub async fn serve(self, listener: TcpListener, app: Router) -> io::Result<()> {
        let connections = Connections::new(self.lifecycle.limits(DESCRIPTORS_EACH));
        let accept = async {
            // Owned: the listener is closed when this future is dropped.
            let listener = listener;
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => self.spawn(&connections, stream, app.clone()),
                    // Of the one connection, or for want of descriptors.
                    Err(_) => {
                        connections.evict_oldest();
                        sleep(ACCEPTED_AGAIN_AFTER).await;
                    }
                }
            }
        };
        self.lifecycle.run(accept, connections.stop(), connections.stop()).await
    }

    fn spawn(&self, connections: &Connections, stream: TcpStream, app: Router) {
        // Answers are small, and complete when they are written.
        let _ = stream.set_nodelay(true);
        let (evict, evicted) = oneshot::channel();
        let connection = Arc::new(connections.enter(move || _ = evict.send(())));
        let service = {
            let connection = Arc::clone(&connection);
            service_fn(move |request: hyper::Request<Incoming>| {
                let (exchange, response) = (connection.begin(), app.clone().call(request));
                async move { Ok::<_, Infallible>(response.await?.map(|body| Answer { body, _exchange: exchange })) }
            })
        };
        #[cfg(feature = "http2")]
        if self.h2c {
            let mut builder = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
            builder.http1().header_read_timeout(None).half_close(true).max_buf_size(HEAD_BYTES);
            tokio::spawn(async move {
                until_its_end(builder.serve_connection(TokioIo::new(stream), service), &connection, evicted).await;
            });
            return;
        }
        let mut builder = http1::Builder::new();
        // The time for a head is the connection's own. actix-web, too, answers a sender that has
        // shut its side down after a complete request.
        builder.header_read_timeout(None).half_close(true).max_buf_size(HEAD_BYTES);
        let served = builder.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move { until_its_end(served, &connection, evicted).await });
    }

    fn probe<S: Clone + Send + Sync + 'static>(&self, probe: Probe) -> MethodRouter<S> {
        let readiness = self.lifecycle.readiness().clone();
        any(move |method: Method| async move { Response::<Body>::from(readiness.answer(method.as_str(), probe).await) })
    }
}

/// An answer's body.
struct Answer {
    body: Body,
    _exchange: Exchange,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves a connection until it ends, gives way, or has been without a request for too long.
async fn until_its_end(served: impl GracefulConnection, connection: &Connection, mut evicted: oneshot::Receiver<()>) {
    let mut served = pin!(served);
    let mut late = pin!(connection.late());
    let mut stopping = pin!(connection.stopping());
    let mut is_stopping = false;
    loop {
        tokio::select! {
            _ = served.as_mut() => return,
            _ = &mut evicted => return,
            () = late.as_mut() => return,
            () = stopping.as_mut(), if !is_stopping => {
                is_stopping = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}
