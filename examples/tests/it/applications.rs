//! The applications of a new user, as they stand in `src/bin`: everything through their middleware,
//! beside a real database.

use std::time::Duration;

use actix_web::middleware::{Compress, Logger};
use circa_receiver::{
    Receiver, Secret,
    testing::{
        Answer, CircaSigner, CircaSimulator, CircularoSigner, Faults, Fixture, HandlerRuns, SignedRequest,
        SimulatedBody, Target, check_mounted, fixtures,
    },
};
use circa_receiver_examples::application::Application;
use circa_receiver_test_support::postgres::PostgresServer;
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::support::{CIRCA_SECRET, CIRCULARO_SECRET, turn};

#[allow(dead_code)]
#[path = "../../src/bin/actix-application.rs"]
mod actix_application;
#[allow(dead_code)]
#[path = "../../src/bin/axum-application.rs"]
mod axum_application;

const NEW_SECRET: &str = "whsec_new_0123456789abcdef";

/// 32 hours in a second, in real time: paused time does not work with sockets.
const DIVISOR: u32 = 100_000;

struct Database {
    server: PostgresServer,
    application: Application,
    runs: HandlerRuns,
}

impl Database {
    async fn start() -> Self {
        let server = PostgresServer::start();
        let pool: PgPool = PgPoolOptions::new().max_connections(20).connect(&server.url()).await.unwrap();
        let runs = HandlerRuns::default();
        let endpoints = [
            Receiver::circa(Secret::new(CIRCA_SECRET).unwrap()).observer(runs.clone()),
            Receiver::circularo(Secret::new(CIRCULARO_SECRET).unwrap()).observer(runs.clone()),
        ];
        Self { server, application: Application::new(pool, endpoints).await.unwrap(), runs }
    }

    /// The fields of the rows that a statement finds.
    fn rows(&self, statement: &str) -> Vec<String> {
        self.server.sql(statement).lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    }
}

#[tokio::test]
async fn on_axum() {
    let _turn = turn::unhurried().await;
    let database = Database::start().await;
    let app = axum_application::app(database.application.clone());
    exercise(circa_receiver_axum::testing::target(app), &database).await;
}

#[actix_web::test]
async fn on_actix() {
    let _turn = turn::unhurried().await;
    let database = Database::start().await;
    let application = database.application.clone();
    let app = actix_web::App::new().configure(|app| actix_application::routes(&application, app));
    let app = actix_web::test::init_service(app.wrap(Compress::default()).wrap(Logger::default())).await;
    exercise(circa_receiver_actix::testing::target(app), &database).await;
}

async fn exercise(target: impl Target, database: &Database) {
    both_endpoints_are_mounted(&target).await;
    events_are_kept_once(&target, database).await;
    what_can_never_be_handled_is_in_the_table(&target, database).await;
    secrets_are_rotated(&target).await;
    nothing_is_lost(&target, database).await;
    let metrics = send(&target, http::Request::get("/admin/metrics").body("").unwrap()).await;
    let text = String::from_utf8(metrics.body().to_vec()).unwrap();
    // Three of Circa's dead letters are the probes.
    for line in ["webhooks_handled{endpoint=\"circularo\"} 1\n", "webhooks_dead_lettered{endpoint=\"circa\"} 5\n"] {
        assert!(text.contains(line), "{text}");
    }
}

async fn send(target: &impl Target, request: http::Request<&'static str>) -> Answer {
    target.deliver(request.map(SimulatedBody::whole)).await.unwrap()
}

async fn deliver(target: &impl Target, secret: &str, body: &str) -> (u16, Option<String>) {
    let request = SignedRequest::circa(&CircaSigner::new(secret), body).uri("/webhooks/circa");
    let answer = target.deliver(request.build::<Vec<u8>>().map(SimulatedBody::whole)).await.unwrap();
    (answer.status(), answer.outcome().map(str::to_owned))
}

fn outcome(outcome: &str) -> (u16, Option<String>) {
    (200, Some(outcome.to_owned()))
}

fn pulled(id: &str) -> Fixture {
    fixtures()[0].with_id(id)
}

async fn both_endpoints_are_mounted(target: &impl Target) {
    check_mounted(target, "/webhooks/circa", &CircaSigner::new(CIRCA_SECRET)).await.unwrap();
    check_mounted(target, "/webhooks/circularo", &CircularoSigner::new(CIRCULARO_SECRET)).await.unwrap();
}

async fn events_are_kept_once(target: &impl Target, database: &Database) {
    for expected in ["handled", "duplicate"] {
        assert_eq!(deliver(target, CIRCA_SECRET, pulled("evt_once").body()).await, outcome(expected));
    }
    assert_eq!(database.rows("SELECT what FROM events WHERE id = 'evt_once'"), ["u_a13c"]);
    let fixture = fixtures().into_iter().find(|fixture| fixture.event_type() == "documentCompleted").unwrap();
    let request = SignedRequest::circularo(&CircularoSigner::new(CIRCULARO_SECRET), fixture.body());
    let request = request.uri("/webhooks/circularo").build::<Vec<u8>>();
    let answer = target.deliver(request.map(SimulatedBody::whole)).await.unwrap();
    assert_eq!(answer.outcome(), Some("handled"));
    assert_eq!(database.rows("SELECT what FROM events WHERE endpoint = 'circularo'"), [fixture.id()]);
}

/// Contract, sections 5 and 8: the reason reaches the dead letter, never the sender.
async fn what_can_never_be_handled_is_in_the_table(target: &impl Target, database: &Database) {
    let nobody = r#"{"id":"evt_nobody","type":"datapoint.pulled","data":{"unit":"rocket"}}"#;
    let unreadable = r#"{"id":7,"type":"datapoint.pulled"}"#;
    database.server.sql("DELETE FROM dead_letters");
    for (body, reason) in [(nobody, "the pull names no user"), (unreadable, "id")] {
        assert_eq!(deliver(target, CIRCA_SECRET, body).await, outcome("dead-lettered"));
        assert_eq!(deliver(target, CIRCA_SECRET, body).await, outcome("duplicate"));
        let rows = database.rows(&format!("SELECT reason FROM dead_letters WHERE body = '{body}'::bytea"));
        assert!(rows.len() == 1 && rows[0].contains(reason), "{rows:?}");
    }
}

async fn secrets_are_rotated(target: &impl Target) {
    assert_eq!(deliver(target, NEW_SECRET, pulled("evt_new").body()).await.0, 401);
    let rotate = |path, body| send(target, http::Request::post(path).body(body).unwrap());
    assert_eq!(rotate("/admin/secrets/circa", "short").await.status(), 422);
    assert_eq!(rotate("/admin/secrets/nobody", NEW_SECRET).await.status(), 422);
    assert_eq!(rotate("/admin/secrets/circa", NEW_SECRET).await.status(), 204);
    for (secret, id) in [(NEW_SECRET, "evt_new"), (CIRCA_SECRET, "evt_former")] {
        assert_eq!(deliver(target, secret, pulled(id).body()).await, outcome("handled"));
    }
}

async fn nothing_is_lost(target: &impl Target, database: &Database) {
    let faults = Faults::none().answers_lost().twice_at_once();
    let simulator = CircaSimulator::new("/webhooks/circa", CIRCA_SECRET).faults(faults).seed(7);
    let simulated = simulator.schedule_divided_by(DIVISOR).run(target, &database.runs);
    let ledger = tokio::time::timeout(Duration::from_secs(120), simulated).await.unwrap();
    ledger.assert_nothing_lost();
    ledger.assert_once();
    ledger.assert_enabled();
    // Of the ten, two are tests, which are not kept.
    assert_eq!(database.rows("SELECT count(*) FROM events WHERE id ~ '^evt_[0-9]$'"), ["8"]);
}
