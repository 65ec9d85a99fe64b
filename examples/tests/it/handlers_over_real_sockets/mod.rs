//! Slow, failing and panicking handlers on real sockets: one list of behaviours, for the route and the layer of both frameworks.
//!
//! Handlers wait for the test's word, so that nothing depends on how fast the machine is.

use std::{
    net::{SocketAddr, TcpListener},
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use crate::support::{Answer, CIRCA_SECRET, circa, event, read_answer};
use actix_web::{
    HttpResponse, HttpServer,
    dev::{ServerHandle, Service},
    middleware::Compress,
    web,
};
use axum::{Router, extract::State, http::StatusCode, middleware, routing::post};
use bytes::Bytes;
use circa_receiver::{Delivery, Observer, Receiver, Secret, event::DatapointPulled};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Semaphore, task::JoinSet};

const PATH: &str = "/webhooks/circa";
const ACK_DEADLINE: Duration = Duration::from_secs(10);

/// A handler that tells when it starts and ends, and waits for leave to end; and all that can be told of its deliveries.
#[derive(Clone)]
struct Gate(Arc<Inner>);

struct Inner {
    authenticated: Semaphore,
    started: Semaphore,
    leave: Semaphore,
    ended: Semaphore,
    /// Requests whose future is gone: answered, or dropped because the sender has hung up.
    gone: Semaphore,
    runs: AtomicUsize,
    /// The status with which the first run ends; all others succeed.
    first_run: FirstRun,
}

type FirstRun = fn() -> u16;

impl Gate {
    fn new(first_run: FirstRun) -> Self {
        let [authenticated, started, leave, ended, gone] = [(); 5].map(|()| Semaphore::new(0));
        Self(Arc::new(Inner { authenticated, started, leave, ended, gone, runs: AtomicUsize::new(0), first_run }))
    }

    async fn pass(&self) -> u16 {
        let run = self.0.runs.fetch_add(1, Ordering::SeqCst);
        self.0.started.add_permits(1);
        wait(&self.0.leave).await;
        self.0.ended.add_permits(1);
        if run == 0 { (self.0.first_run)() } else { succeed() }
    }

    fn runs(&self) -> usize {
        self.0.runs.load(Ordering::SeqCst)
    }
}

impl Observer for Gate {
    fn authenticated(&self, _: &Delivery) {
        self.0.authenticated.add_permits(1);
    }
}

fn succeed() -> u16 {
    204
}

async fn wait(semaphore: &Semaphore) {
    wait_for(1, semaphore).await;
}

async fn wait_for(count: u32, semaphore: &Semaphore) {
    let permits = tokio::time::timeout(Duration::from_secs(20), semaphore.acquire_many(count)).await;
    permits.expect("the signal comes").unwrap().forget();
}

/// Held by the future of a request: tells that it is gone.
struct Presence(Gate);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.0.gone.add_permits(1);
    }
}

/// A way to put a receiver in front of the gate.
struct Mount {
    name: &'static str,
    serve: fn(Receiver, Gate) -> Served,
}

const MOUNTS: [Mount; 4] = [
    Mount { name: "axum route", serve: axum_route },
    Mount { name: "axum layer", serve: axum_layer },
    Mount { name: "actix-web route", serve: actix_route },
    Mount { name: "actix-web layer", serve: actix_layer },
];

impl Mount {
    fn serve(&self, gate: &Gate, ack_deadline: Duration) -> (SocketAddr, Receiver, Served) {
        let secret = Secret::new(CIRCA_SECRET).unwrap();
        let receiver = Receiver::circa(secret).ack_deadline(ack_deadline).observer(gate.clone()).build().unwrap();
        let served = (self.serve)(receiver.clone(), gate.clone());
        (served.address, receiver, served)
    }
}

/// A server on a free port, until it is dropped or the test's runtime ends.
struct Served {
    address: SocketAddr,
    actix: Option<ServerHandle>,
}

impl Drop for Served {
    fn drop(&mut self) {
        // Sent at once; the future is only to wait for it.
        drop(self.actix.take().map(|handle| handle.stop(false)));
    }
}

fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn axum_route(receiver: Receiver, gate: Gate) -> Served {
    let route = circa_receiver_axum::webhook(receiver).on(axum_handler).with_state(gate.clone());
    serve_axum(Router::new().route(PATH, route), gate)
}

fn axum_layer(receiver: Receiver, gate: Gate) -> Served {
    let layer = circa_receiver_axum::ReceiverLayer::new(receiver);
    serve_axum(Router::new().route(PATH, post(axum_handler)).layer(layer).with_state(gate.clone()), gate)
}

async fn axum_handler(
    State(gate): State<Gate>,
    circa_receiver_axum::Event(event): circa_receiver_axum::Event<DatapointPulled>,
    body: Bytes,
) -> StatusCode {
    assert_eq!(&body, event.body());
    StatusCode::from_u16(gate.pass().await).unwrap()
}

fn serve_axum(app: Router, gate: Gate) -> Served {
    let app = app.layer(middleware::from_fn(move |request, next: middleware::Next| {
        let presence = Presence(gate.clone());
        async move {
            let _presence = presence;
            next.run(request).await
        }
    }));
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Served { address, actix: None }
}

fn actix_route(receiver: Receiver, gate: Gate) -> Served {
    let route = move || circa_receiver_actix::webhook(receiver.clone()).on(actix_handler).into_route();
    serve_actix(move |app| _ = app.route(PATH, route()), gate)
}

fn actix_layer(receiver: Receiver, gate: Gate) -> Served {
    let layer = circa_receiver_actix::ReceiverLayer::new(receiver);
    let resource = move || web::resource(PATH).wrap(layer.clone()).route(web::post().to(actix_handler));
    serve_actix(move |app| _ = app.service(resource()), gate)
}

async fn actix_handler(
    gate: web::Data<Gate>,
    circa_receiver_actix::Event(event): circa_receiver_actix::Event<DatapointPulled>,
    body: Bytes,
) -> HttpResponse {
    // Held across the wait: actix-web's handlers need not be `Send`.
    let body = Rc::new(body);
    let status = gate.pass().await;
    assert_eq!(&*body, event.body());
    HttpResponse::build(status.try_into().unwrap()).finish()
}

fn serve_actix(mount: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static, gate: Gate) -> Served {
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    let app = move || {
        let watched = gate.clone();
        actix_web::App::new()
            .app_data(web::Data::new(gate.clone()))
            .configure(mount.clone())
            .wrap(Compress::default())
            .wrap_fn(move |request, service| {
                let (presence, answer) = (Presence(watched.clone()), service.call(request));
                async move {
                    let _presence = presence;
                    answer.await
                }
            })
    };
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(app).workers(2).disable_signals().listen(listener).unwrap().run();
            tell.send(server.handle()).unwrap();
            server.await
        })
    });
    Served { address, actix: Some(told.recv().unwrap()) }
}

/// Contract, section 9: "The same request gets the same status, headers and body from the axum and the actix adapter".
async fn alike_on_every_mount(behaviour: impl AsyncFn(&Mount) -> Vec<Answer>) {
    let mut first = None;
    for mount in &MOUNTS {
        let answers = behaviour(mount).await;
        let expected = first.get_or_insert_with(|| answers.clone());
        assert_eq!(&answers, expected, "{} answers otherwise than {}", mount.name, MOUNTS[0].name);
    }
}

/// Contract, section 8: "A handler runs in its own task: neither a sender that hangs up nor a dropped request future stops it half-way."
#[tokio::test]
async fn a_sender_that_hangs_up_does_not_stop_the_handler() {
    alike_on_every_mount(async |mount| {
        let gate = Gate::new(succeed);
        let (address, _receiver, _served) = mount.serve(&gate, ACK_DEADLINE);
        let request = circa(event("evt_1"));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[request.head(), request.framed_body()].concat()).await.unwrap();
        wait(&gate.0.started).await;
        // The sender waits 300 ms for its answer, in vain, and hangs up, hard: a reset, which the server sees at once.
        let patience = tokio::time::timeout(Duration::from_millis(300), read_answer(&mut stream)).await;
        assert!(patience.is_err(), "{}: no answer before the handler has ended: {patience:?}", mount.name);
        stream.set_zero_linger().unwrap();
        drop(stream);
        wait(&gate.0.gone).await;

        // While the first run goes on, the retry waits for it; it neither runs the handler again nor is refused.
        let retry = tokio::spawn(async move { circa(event("evt_1")).send(address).await });
        wait_for(2, &gate.0.authenticated).await;
        gate.0.leave.add_permits(1);
        wait(&gate.0.ended).await;
        let answers = vec![retry.await.unwrap(), circa(event("evt_1")).send(address).await];
        assert!(answers.iter().all(|answer| answer.told() == (200, Some("duplicate"))), "{} {answers:?}", mount.name);
        assert_eq!(gate.runs(), 1, "{}", mount.name);
        answers
    })
    .await;
}

/// Contract, section 7: "In progress -> wait for it, at most until the ack deadline, and give its answer".
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_identical_deliveries_wait_for_one_slow_run() {
    alike_on_every_mount(async |mount| {
        let gate = Gate::new(succeed);
        let (address, _receiver, _served) = mount.serve(&gate, ACK_DEADLINE);
        let request = circa(event("evt_1"));
        let mut senders = JoinSet::new();
        for _ in 0..100 {
            let request = request.clone();
            senders.spawn(async move { request.send(address).await });
        }
        wait_for(100, &gate.0.authenticated).await;
        gate.0.leave.add_permits(100);
        let mut answers = senders.join_all().await;
        answers.sort_by(|one, other| one.told().cmp(&other.told()));
        let handled = answers.iter().filter(|answer| answer.told() == (200, Some("handled"))).count();
        let duplicates = answers.iter().filter(|answer| answer.told() == (200, Some("duplicate"))).count();
        assert_eq!((handled, duplicates, gate.runs()), (1, 99, 1), "{}", mount.name);
        answers
    })
    .await;
}

/// Contract, section 8: "Retryable error: 500, released. Panic: caught, 500, released, the server lives. Permanent error [...] where no sink is
/// configured: 500 and released".
#[tokio::test]
async fn a_handler_whose_first_run_fails_runs_again_and_is_then_done() {
    let first_runs: [(&str, FirstRun); 3] =
        [("fails", || 500), ("fails for good", || 404), ("panics", || panic!("on purpose"))];
    for (name, first_run) in first_runs {
        alike_on_every_mount(async |mount| {
            let gate = Gate::new(first_run);
            gate.0.leave.add_permits(3);
            let (address, _receiver, _served) = mount.serve(&gate, ACK_DEADLINE);
            let mut answers = Vec::new();
            for (told, runs) in [((500, None), 1), ((200, Some("handled")), 2), ((200, Some("duplicate")), 2)] {
                let answer = circa(event("evt_1")).send(address).await;
                assert_eq!((answer.told(), gate.runs()), (told, runs), "{} {name}", mount.name);
                answers.push(answer);
            }
            assert_eq!(answers[0].body, "internal server error", "{} {name}", mount.name);
            answers
        })
        .await;
    }
}

/// Contract, section 8: "Ack deadline passed: 503 with `Retry-After: 30`; the task runs on [...]; when it succeeds the claim is completed, and the
/// sender's next attempt is answered `duplicate`."
#[tokio::test]
async fn a_handler_beyond_the_ack_deadline_runs_on() {
    alike_on_every_mount(async |mount| {
        let gate = Gate::new(succeed);
        let (address, _receiver, _served) = mount.serve(&gate, Duration::from_millis(200));
        let request = circa(event("evt_1"));
        let mut answers = Vec::new();
        // The delivery and its retry are both told to come back; the handler runs once.
        for _ in 0..2 {
            let answer = request.send(address).await;
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("30")), "{}", mount.name);
            answers.push(answer);
        }
        wait(&gate.0.started).await;
        gate.0.leave.add_permits(1);
        wait(&gate.0.ended).await;
        answers.push(request.send(address).await);
        assert_eq!(answers[2].told(), (200, Some("duplicate")), "{}", mount.name);
        assert_eq!(gate.runs(), 1, "{}", mount.name);
        answers
    })
    .await;
}

/// Contract, section 8: "Shutdown: stop intake with 503, let running handlers end until the drain deadline".
#[tokio::test]
async fn shutdown_waits_for_the_running_handlers_and_refuses_the_rest() {
    alike_on_every_mount(async |mount| {
        let gate = Gate::new(succeed);
        let (address, receiver, _served) = mount.serve(&gate, ACK_DEADLINE);
        let mut running = JoinSet::new();
        for id in ["evt_1", "evt_2", "evt_3"] {
            running.spawn(async move { circa(event(id)).send(address).await });
        }
        wait_for(3, &gate.0.started).await;
        let mut shutdown = pin!(receiver.shutdown());
        assert!(is_pending(&mut shutdown).await, "{}", mount.name);
        let refused = circa(event("evt_4")).send(address).await;
        assert_eq!((refused.status, &*refused.body), (503, "service unavailable"), "{}", mount.name);
        gate.0.leave.add_permits(2);
        wait_for(2, &gate.0.ended).await;
        assert!(is_pending(&mut shutdown).await, "{}: one handler still runs", mount.name);
        gate.0.leave.add_permits(1);
        shutdown.await;
        let mut answers = running.join_all().await;
        assert!(answers.iter().all(|answer| answer.told() == (200, Some("handled"))), "{} {answers:?}", mount.name);
        assert_eq!(gate.runs(), 3, "{}", mount.name);
        answers.push(refused);
        answers
    })
    .await;
}

/// Polls once.
async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = std::future::ready(()) => true,
    }
}
