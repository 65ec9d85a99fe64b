//! Each alert of `examples/monitoring` fires against a real receiver that is broken in the way that
//! the alert is for, and names its endpoint.

use std::{
    iter,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use axum::{Router, http::StatusCode, routing::MethodRouter};
use circa_receiver::{
    BoxError, Clock, ClockError, DeadLetter, DeadLetterSink, DedupStore, Delivery, Inbox, MemoryStore, MetricsObserver,
    Observer, PostgresInbox, Receiver, ReceiverBuilder, Secret, Secrets, StoreError, WorkerBuilder,
    dedup::{ClaimAnswer, ClaimRequest, Key, Nonce, Token},
    testing::{CircaSigner, FakeClock, MemoryInbox},
};
use circa_receiver_axum::{RawDelivery, webhook};
use circa_receiver_test_support::free_port;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;

use crate::support::{
    CIRCA_SECRET, Request, event,
    prometheus::{PATIENCE, Prometheus, file, values},
};

/// Within which the receivers answer; what runs longer is "unfinished".
const ACK_DEADLINE: Duration = Duration::from_millis(100);
/// Renewed at a third.
const LEASE: Duration = Duration::from_secs(1);
const TWO_DAYS: i64 = 2 * 24 * 3_600;

/// A store that cannot be reached, or one that gives each claim to another holder.
enum Store {
    Away,
    Taken(MemoryStore),
}

#[async_trait]
impl DedupStore for Store {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        match self {
            Self::Away => Err(StoreError::Timeout),
            Self::Taken(store) => store.claim(request).await,
        }
    }
    async fn renew(&self, _: &Key, _: Token, _: Duration) -> Result<bool, StoreError> {
        Ok(false)
    }
    async fn complete(&self, _: &Key, _: Token, _: Duration) -> Result<bool, StoreError> {
        Ok(false)
    }
    async fn release(&self, _: &Key, _: Token) -> Result<bool, StoreError> {
        Ok(false)
    }
    async fn withdraw(&self, _: &Key, _: Nonce) -> Result<bool, StoreError> {
        Ok(false)
    }
    async fn forget(&self, _: &Key) -> Result<bool, StoreError> {
        Ok(false)
    }
}

enum Sink {
    Works,
    Fails,
}

#[async_trait]
impl DeadLetterSink for Sink {
    async fn bury(&self, _: DeadLetter<'_>) -> Result<(), BoxError> {
        match self {
            Self::Works => Ok(()),
            Self::Fails => Err("no space left on device".into()),
        }
    }
}

/// A thousand times as fast as time: what is ready for a second has been so for a quarter of an
/// hour.
struct Racing(Instant);

impl Clock for Racing {
    fn unix_seconds(&self) -> Result<i64, ClockError> {
        Ok(now())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed() * 1_000
    }
}

struct Panics;

impl Observer for Panics {
    fn handled(&self, _: &Delivery, _: Duration) {
        panic!("an observer's mistake");
    }
}

/// What a handler does.
#[derive(Clone, Copy)]
enum Handler {
    Answers(StatusCode),
    NeverEnds,
}

/// A receiver that is broken in one way.
struct Broken {
    endpoint: &'static str,
    alerts: &'static [&'static str],
    receiver: ReceiverBuilder,
    metrics: MetricsObserver,
    handler: Handler,
    /// The settings of its worker, where it has an inbox.
    worker: Option<fn(WorkerBuilder) -> WorkerBuilder>,
    /// The delivery of a number, to a path.
    delivery: fn(&str, usize) -> Request,
}

impl Broken {
    fn new(endpoint: &'static str, alerts: &'static [&'static str]) -> Self {
        let new = Secret::new("whsec_new_0123456789abcdef").unwrap().labeled("new");
        let former = Secret::new(CIRCA_SECRET).unwrap().labeled("former");
        let receiver = Receiver::circa(Secrets::new([new, former]).unwrap())
            .endpoint(endpoint)
            .ack_deadline(ACK_DEADLINE)
            .store_timeout(ACK_DEADLINE)
            .lease(LEASE);
        let metrics = MetricsObserver::new();
        let handler = Handler::Answers(StatusCode::NO_CONTENT);
        Self { endpoint, alerts, receiver, metrics, handler, worker: None, delivery: fresh }
    }

    fn handler(self, handler: Handler) -> Self {
        Self { handler, ..self }
    }

    fn delivery(self, delivery: fn(&str, usize) -> Request) -> Self {
        Self { delivery, ..self }
    }

    fn with(self, change: impl FnOnce(ReceiverBuilder) -> ReceiverBuilder) -> Self {
        Self { receiver: change(self.receiver), ..self }
    }

    fn inbox(self, inbox: impl Inbox, worker: fn(WorkerBuilder) -> WorkerBuilder) -> Self {
        Self { worker: Some(worker), ..self.with(|receiver| receiver.inbox(inbox)) }
    }

    fn path(&self) -> String {
        format!("/{}", self.endpoint)
    }

    fn at(self, clock: &FakeClock) -> Self {
        let metrics = MetricsObserver::new().clock(clock.clone());
        Self { receiver: self.receiver.clock(clock.clone()), metrics, ..self }
    }

    fn route(self) -> MethodRouter {
        let receiver = self.receiver.observer(self.metrics).build().unwrap();
        let handler = self.handler;
        let handler = async move |_: RawDelivery| match handler {
            Handler::Answers(status) => status,
            Handler::NeverEnds => std::future::pending().await,
        };
        let webhook = webhook(receiver).on_type("datapoint.pulled", handler);
        let Some(settings) = self.worker else { return webhook.into_route() };
        let (route, worker) = webhook.with_worker(());
        tokio::spawn(settings(worker).build().unwrap().run());
        route
    }
}

fn all() -> Vec<Broken> {
    use Handler::{Answers, NeverEnds};
    let (failed, permanent) = (Answers(StatusCode::INTERNAL_SERVER_ERROR), Answers(StatusCode::UNPROCESSABLE_ENTITY));
    vec![
        Broken::new("forged", &["NothingIsAuthentic", "EndpointIsAboutToBeDisabled"]).delivery(forged),
        Broken::new("stale", &["AuthenticDeliveriesAreRefused"]).delivery(stale),
        Broken::new("away", &["StoreIsAway", "StoreFails"]).with(|receiver| receiver.dedup(Store::Away)),
        Broken::new("full", &["DeliveriesAreShed"]).handler(NeverEnds).with(|receiver| receiver.max_running(1)),
        Broken::new("failing", &["HandlersFail", "EndpointIsAboutToBeDisabled"]).handler(failed),
        Broken::new("slow", &["HandlersAreSlow"]).handler(NeverEnds),
        Broken::new("permanent", &["DeadLettersArrive"])
            .handler(permanent)
            .with(|receiver| receiver.dead_letters(Sink::Works)),
        Broken::new("sink", &["DeadLetterSinkFails"])
            .handler(permanent)
            .with(|receiver| receiver.dead_letters(Sink::Fails)),
        Broken::new("lease", &["LeasesAreLost"])
            .handler(NeverEnds)
            .with(|receiver| receiver.dedup(Store::Taken(MemoryStore::default()))),
        Broken::new("changed", &["DuplicatesDiffer"]).delivery(changed),
        Broken::new("observer", &["ObserversPanic"]).with(|receiver| receiver.observer(Panics)),
        Broken::new("dead", &["InboxHasDeadLetters"]).handler(permanent).inbox(MemoryInbox::default(), |worker| worker),
        Broken::new("behind", &["InboxFallsBehind"])
            .handler(NeverEnds)
            .inbox(MemoryInbox::with_clock(Racing(Instant::now())), |worker| worker.concurrency(1)),
        Broken::new("unreached", &["WorkerDoesNotReachTheInbox"])
            .inbox(PostgresInbox::connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap(), |worker| worker),
        Broken::new("rotated", &["OldSecretIsUnused"]).delivery(two_days_ago).at(&FakeClock::at(now() - TWO_DAYS)),
    ]
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn signed(path: &str, secret: &str, at: i64, body: String) -> Request {
    let signature = CircaSigner::new(secret).sign(at, body.as_bytes());
    Request::post(path).header("Circa-Signature", signature).body(body)
}

fn fresh(path: &str, number: usize) -> Request {
    signed(path, CIRCA_SECRET, now(), event(&format!("evt_{number}")))
}

fn stale(path: &str, number: usize) -> Request {
    signed(path, CIRCA_SECRET, now() - 3_600, event(&format!("evt_{number}")))
}

fn forged(path: &str, number: usize) -> Request {
    signed(path, "whsec_of_somebody_else", now(), event(&format!("evt_{number}")))
}

/// One id, each time with another body.
fn changed(path: &str, number: usize) -> Request {
    signed(path, CIRCA_SECRET, now(), event("evt_changed") + &" ".repeat(number))
}

fn two_days_ago(path: &str, number: usize) -> Request {
    signed(path, CIRCA_SECRET, now() - TWO_DAYS, event(&format!("evt_{number}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn against_a_receiver_that_is_broken_in_its_way() {
    let mut free = iter::repeat_with(|| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))).take(10);
    let nobody = free.next().unwrap();
    // Another process may have taken the port that was free.
    let is_served = |address: &SocketAddr| PrometheusBuilder::new().with_http_listener(*address).install().is_ok();
    let served = free.find(is_served).expect("a port that is free");
    let mut expected = vec![("ReceiverIsDown", "")];
    let (mut app, mut deliveries) = (Router::new(), Vec::new());
    for broken in all() {
        expected.extend(broken.alerts.iter().map(|alert| (*alert, broken.endpoint)));
        deliveries.push((broken.path(), broken.delivery));
        app = app.route(&broken.path(), broken.route());
    }
    let alerts = values(&file("alerts.yml"), "alert");
    let without = alerts.iter().find(|alert| !expected.iter().any(|(expected, _)| expected == alert));
    assert_eq!(without, None, "each alert has a receiver that is broken in its way");
    let firing: Vec<_> = expected
        .iter()
        .map(|(alert, endpoint)| {
            format!("ALERTS{{alertname=\"{alert}\",endpoint=\"{endpoint}\",alertstate=\"firing\"}}")
        })
        .collect();

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    let prometheus = Prometheus::start(&[served, nobody]);
    let deadline = Instant::now() + PATIENCE;
    for number in 0.. {
        for (path, delivery) in &deliveries {
            delivery(path, number).send(address).await;
        }
        let missing = prometheus.missing(&firing).await;
        if missing.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{missing:#?}");
        // Prometheus scrapes once a second.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
