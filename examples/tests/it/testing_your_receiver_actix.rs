//! The five tests that every receiver should have, for an actix app: `docs/testing.md` explains
//! them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{App, HttpResponse, test::init_service, web};
use async_trait::async_trait;
use circa_receiver::{
    BoxError, DeadLetter, DeadLetterSink, Sender,
    testing::{
        Answer, CircaSigner, CircaSimulator, Faults, Fixture, HandlerRuns, SignedRequest, SimulatedBody, Target,
        TokioClock, fixtures,
    },
};
use circa_receiver_actix::{
    Event, Receiver, Secret,
    event::{DatapointPulled, WebhookTest},
    testing::{assert_mounted, target},
    webhook,
};
use tokio::time::sleep;

const PATH: &str = "/webhooks/circa";
const SECRET: &str = "whsec_test_0123456789abcdef";
const NOW: i64 = 1_747_000_800;

/// What stands in for the app's database: it counts the effects, takes its time, and fails where a
/// test wants it to.
#[derive(Clone, Default)]
struct Db {
    runs: HandlerRuns,
    takes: Duration,
    fails_at_first: &'static [&'static str],
    refuses: &'static [&'static str],
}

impl Db {
    async fn record(&self, event_id: &str) -> HttpResponse {
        let run = self.runs.start(event_id);
        sleep(self.takes).await;
        if self.refuses.contains(&event_id) {
            run.fail();
            return HttpResponse::UnprocessableEntity().finish();
        }
        if self.fails_at_first.contains(&event_id) && self.runs.started(event_id) == 1 {
            run.fail();
            return HttpResponse::ServiceUnavailable().finish();
        }
        run.succeed();
        HttpResponse::NoContent().finish()
    }
}

/// The app under test.
fn app(receiver: Receiver, db: &Db) -> impl FnOnce(&mut web::ServiceConfig) {
    let scope = web::scope("/webhooks").route("/circa", webhook(receiver).on(pulled).on(tested).into_route());
    let db = web::Data::new(db.clone());
    |config| {
        config.app_data(db).service(scope);
    }
}

async fn pulled(db: web::Data<Db>, Event(event): Event<DatapointPulled>) -> HttpResponse {
    db.record(event.id()).await
}

async fn tested(db: web::Data<Db>, Event(event): Event<WebhookTest>) -> HttpResponse {
    db.record(event.id()).await
}

fn receiver() -> Receiver {
    Receiver::circa(Secret::new(SECRET).unwrap()).build().unwrap()
}

fn receiver_at(clock: TokioClock) -> Receiver {
    Receiver::circa(Secret::new(SECRET).unwrap()).clock(clock).build().unwrap()
}

fn circa_events() -> impl Iterator<Item = Fixture> {
    fixtures().into_iter().filter(|event| event.sender() == Sender::CIRCA)
}

fn signed(event: &Fixture) -> SignedRequest {
    SignedRequest::circa(&CircaSigner::new(SECRET), event.body())
}

async fn send(target: &impl Target, request: SignedRequest) -> Answer {
    let request = request.uri(PATH).build::<Vec<u8>>();
    target.deliver(request.map(SimulatedBody::whole)).await.unwrap()
}

/// 1. It is mounted right.
#[actix_web::test]
async fn deliveries_reach_the_receiver_untouched() {
    let db = Db::default();
    let app = init_service(App::new().configure(app(receiver(), &db))).await;
    assert_mounted(app, PATH, &CircaSigner::new(SECRET)).await;
}

/// 2. An event of every documented shape is handled, and its repetition is a duplicate.
#[actix_web::test]
async fn every_documented_event_is_handled_once() {
    let db = Db::default();
    let target = target(init_service(App::new().configure(app(receiver(), &db))).await);
    for (n, event) in circa_events().enumerate() {
        let id = format!("evt_{n}");
        for expected in ["handled", "duplicate"] {
            let answer = send(&target, signed(&event.with_id(&id))).await;
            assert_eq!((answer.status(), answer.outcome()), (200, Some(expected)), "{}", event.name());
        }
        assert_eq!(db.runs.started(&id), 1, "{}", event.name());
    }
}

/// 3. What is forged, tampered with or stale runs nothing, and does not stand in the way of the
///    event itself.
#[actix_web::test]
async fn deliveries_that_are_not_authentic_run_nothing() {
    tokio::time::pause();
    let db = Db::default();
    let receiver = receiver_at(TokioClock::starting_at(NOW));
    let target = target(init_service(App::new().configure(app(receiver, &db))).await);
    let event = fixtures()[0].with_id("evt_1");
    let forged = SignedRequest::circa(&CircaSigner::new("whsec_wrong_0123456789abcdef"), event.body());
    let cases = [
        ("signed with another secret", forged.signed_at(NOW)),
        (
            "another body than was signed",
            signed(&event).signed_at(NOW).tampered(event.body().replace("u_a13c", "u_evil")),
        ),
        ("signed too long ago", signed(&event).signed_at(NOW - 301)),
        ("signed too far ahead", signed(&event).signed_at(NOW + 301)),
    ];
    for (name, request) in cases {
        assert_eq!(send(&target, request).await.status(), 401, "{name}");
        assert_eq!(db.runs.started("evt_1"), 0, "{name}");
    }
    assert_eq!(send(&target, signed(&event).signed_at(NOW)).await.outcome(), Some("handled"));
}

/// 4. Nothing is lost, nothing is handled twice, and the endpoint stays enabled, whatever the
///    network does.
#[actix_web::test]
async fn nothing_is_lost_or_handled_twice_whatever_the_network_does() {
    tokio::time::pause();
    for seed in 0..20 {
        let clock = TokioClock::starting_at(NOW);
        let db = Db { takes: Duration::from_millis(200), fails_at_first: &["evt_2", "evt_5"], ..Db::default() };
        let simulator = CircaSimulator::new(PATH, SECRET).clock(clock).faults(Faults::all()).seed(seed);
        let app = init_service(App::new().configure(app(receiver_at(clock), &db))).await;
        let ledger = simulator.run(target(app), &db.runs).await;
        ledger.assert_nothing_lost();
        ledger.assert_once();
        ledger.assert_nothing_cut_off();
        ledger.assert_enabled();
    }
}

/// 5. What can never be handled reaches the dead-letter sink, and is not tried again.
#[actix_web::test]
async fn what_fails_for_good_is_buried() {
    let (db, sink) = (Db { refuses: &["evt_1"], ..Db::default() }, Buried::default());
    let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).dead_letters(sink.clone()).build().unwrap();
    let target = target(init_service(App::new().configure(app(receiver, &db))).await);
    for expected in ["dead-lettered", "duplicate"] {
        let answer = send(&target, signed(&fixtures()[0].with_id("evt_1"))).await;
        assert_eq!((answer.status(), answer.outcome()), (200, Some(expected)));
    }
    assert_eq!(*sink.0.lock().unwrap(), ["evt_1"]);
}

/// 5. A handler that needs longer than the ack deadline of 10 s is not run again: the second
///    attempt finds the event handled.
#[actix_web::test]
async fn a_slow_handler_runs_once() {
    tokio::time::pause();
    let clock = TokioClock::starting_at(NOW);
    let db = Db { takes: Duration::from_secs(12), ..Db::default() };
    let simulator = CircaSimulator::new(PATH, SECRET).clock(clock);
    let app = init_service(App::new().configure(app(receiver_at(clock), &db))).await;
    let ledger = simulator.run(target(app), &db.runs).await;
    ledger.assert_nothing_lost();
    ledger.assert_once();
    ledger.assert_enabled();
    assert_eq!((ledger.attempts("evt_0"), db.runs.started("evt_0")), (2, 1));
}

#[derive(Clone, Default)]
struct Buried(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl DeadLetterSink for Buried {
    async fn bury(&self, letter: DeadLetter<'_>) -> Result<(), BoxError> {
        self.0.lock().unwrap().push(letter.event().id().to_owned());
        Ok(())
    }
}
