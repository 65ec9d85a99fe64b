//! The server: an application over HTTP/1.1, with limits against strangers, and with an end that
//! loses no delivery.

use std::{
    any::Any,
    future::pending,
    io,
    net::{Shutdown, TcpListener},
    num::NonZero,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    thread::available_parallelism,
    time::Duration,
};

use actix_web::{
    App, Error, HttpRequest, HttpServer, Route,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Extensions, Service, ServiceFactory, ServiceRequest, ServiceResponse},
    http::KeepAlive,
    rt::{self, net::TcpStream, task::JoinHandle},
    web::{self, Bytes},
};
use circa_receiver::{
    Receiver, Worker,
    serving::{Connection, Connections, Exchange, Lifecycle, Probe},
};
use socket2::{SockRef, Socket};

use crate::request::{Closing, convert};

/// What the kernel keeps of connections that were not accepted yet.
const BACKLOG: u32 = 1_024;

/// actix-web's limit on connections is so many times ours, so that a newcomer is accepted while the
/// connection that gives way to it has not ended.
const ACCEPTED_BESIDE: usize = 2;

/// A connection takes its socket, another by which it is shut down (see [`Handle`]), and that of a
/// newcomer.
const DESCRIPTORS_EACH: usize = 3;

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
/// for, three each; beyond that the one is closed that has been without an answer for longest. How
/// it ends: [`Lifecycle`].
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
        let limits = self.lifecycle.limits(DESCRIPTORS_EACH);
        let connections = Connections::new(limits);
        let workers = available_parallelism().map_or(1, NonZero::get);
        let accepting = listener.try_clone()?;
        let server = HttpServer::new(move || app().wrap_fn(answer))
            .workers(workers)
            .max_connections(limits.max_connections.saturating_mul(ACCEPTED_BESIDE).div_ceil(workers))
            // actix-web's own limits for heads and idle connections end with the first byte of a
            // second head.
            .client_request_timeout(Duration::ZERO)
            .keep_alive(KeepAlive::Os)
            // The answer's body has drained the request's already.
            .client_disconnect_timeout(Duration::ZERO)
            .shutdown_timeout(CONNECTIONS_MAY_STAY)
            .backlog(BACKLOG)
            .on_connect(move |stream, data| {
                data.insert(Closing::default());
                Watched::insert(stream, data, &connections);
            })
            .disable_signals();
        #[cfg(feature = "http2")]
        let server = if self.h2c { server.listen_auto_h2c(listener)? } else { server.listen(listener)? };
        #[cfg(not(feature = "http2"))]
        let server = server.listen(listener)?;
        let server = server.run();
        let handle = server.handle();
        let accept = async { rt::spawn(server).await? };
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

/// Answers a request, and notes when it begins and when its answer has ended.
fn answer<S, B>(
    request: ServiceRequest,
    app: &S,
) -> impl Future<Output = Result<ServiceResponse<Answer>, Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let exchange = request.conn_data::<Watched>().map(|watched| watched.connection.begin());
    let response = app.call(request);
    async move { Ok(response.await?.map_body(|_, body| Answer { body: body.boxed(), _exchange: exchange })) }
}

/// An answer's body.
struct Answer {
    body: BoxBody,
    _exchange: Option<Exchange>,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// Kept by the server for each connection.
struct Watched {
    connection: Arc<Connection>,
    task: JoinHandle<()>,
}

impl Watched {
    fn insert(stream: &dyn Any, data: &mut Extensions, connections: &Connections) {
        let stream = stream.downcast_ref::<TcpStream>().expect("the listener is one of TCP, without TLS");
        let stream = SockRef::from(stream);
        let handle = loop {
            match stream.try_clone() {
                Ok(socket) => break Handle(Arc::new(Mutex::new(Some(socket)))),
                // For want of descriptors, of which the oldest connection's handle leaves one.
                Err(_) if connections.evict_oldest() => {}
                Err(_) => {
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
            }
        };
        let evicted = handle.clone();
        let connection = Arc::new(connections.enter(move || evicted.close()));
        let watched = Arc::clone(&connection);
        let task = rt::spawn(async move {
            watched.late().await;
            handle.close();
        });
        data.insert(Self { connection, task });
    }
}

/// Shuts a connection's socket down, by a descriptor of its own: actix-web owns the socket and sees
/// no request to close it.
#[derive(Clone)]
struct Handle(Arc<Mutex<Option<Socket>>>);

impl Handle {
    fn close(&self) {
        if let Some(socket) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}
