//! Each delivery is answered once, and leaves every stage that it entered.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use circa_receiver::{Delivery, Observer, Outcome, Receiver, Secret, SecretId, Secrets, Sender, observe::Stage};
use tokio::time::advance;

use crate::support::receiving::{Body, Endpoint, Gate, OTHER_SECRET, Request, SECRET, Step, circa, seconds, settle};

/// What was told of deliveries as a whole.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    configured: Vec<String>,
    answered: Vec<(&'static str, Duration)>,
    stages: BTreeMap<&'static str, i64>,
    panics: usize,
}

impl Told {
    fn answered(&self) -> Vec<(&'static str, Duration)> {
        std::mem::take(&mut self.0.lock().unwrap().answered)
    }

    fn at(&self, stage: Stage) -> i64 {
        self.0.lock().unwrap().stages.get(stage.as_str()).copied().unwrap_or(0)
    }
}

impl Observer for Told {
    fn configured(&self, endpoint: &str, sender: Sender, secrets: &[SecretId]) {
        let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
        self.0.lock().unwrap().configured.push(format!("{endpoint} {sender} {}", secrets.join(" ")));
    }

    fn answered(&self, _: &str, outcome: Outcome, elapsed: Duration) {
        self.0.lock().unwrap().answered.push((outcome.as_str(), elapsed));
    }

    fn entered(&self, _: &str, stage: Stage) {
        *self.0.lock().unwrap().stages.entry(stage.as_str()).or_default() += 1;
    }

    fn left(&self, _: &str, stage: Stage) {
        *self.0.lock().unwrap().stages.entry(stage.as_str()).or_default() -= 1;
    }

    fn observer_panicked(&self, _: &str) {
        self.0.lock().unwrap().panics += 1;
    }
}

struct Panics;

impl Observer for Panics {
    fn received(&self, _: &str) {
        panic!("an observer");
    }

    fn observer_panicked(&self, _: &str) {
        panic!("again");
    }
}

#[tokio::test(start_paused = true)]
async fn once_with_its_outcome_and_time() {
    let (told, gate) = (Told::default(), Gate::closed());
    let endpoint = Endpoint::new(circa().observer(told.clone()), gate.routes());
    let forged = Request::circa("evt_0").replace("Circa-Signature", format!("t=1,v1={}", "0".repeat(64)));
    assert_eq!(endpoint.deliver(&forged).await.status(), 401);
    assert_eq!(told.answered(), [("signature_mismatch", Duration::ZERO)]);

    let first = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let second = endpoint.spawn(&Request::circa("evt_1"));
    settle().await;
    let stages = [Stage::Place, Stage::Duplicate, Stage::Handler].map(|stage| told.at(stage));
    assert_eq!(stages, [2, 1, 1], "one runs, and one waits for it");
    advance(seconds(3)).await;
    gate.let_go(1);
    assert_eq!((first.await.unwrap().status(), second.await.unwrap().status()), (200, 200));
    let mut answered = told.answered();
    answered.sort_unstable();
    assert_eq!(answered, [("duplicate", seconds(3)), ("handled", seconds(3))]);

    let late = endpoint.spawn(&Request::circa("evt_2"));
    gate.arrival().await;
    assert_eq!(late.await.unwrap().status(), 503);
    assert_eq!(told.answered(), [("unfinished", seconds(10))]);
    assert_eq!((told.at(Stage::Place), told.at(Stage::Handler)), (0, 1), "it runs on");
    gate.let_go(1);
    settle().await;
    assert!(Stage::ALL.into_iter().all(|stage| told.at(stage) == 0), "all have left");
    assert_eq!(told.answered(), [], "and none is answered twice");
}

/// A sender that hangs up gets no answer, and leaves its stage all the same.
#[tokio::test(start_paused = true)]
async fn a_dropped_request_leaves_its_stage() {
    let told = Told::default();
    let endpoint = Endpoint::new(circa().observer(told.clone()), Gate::open().routes());
    let request = Request::circa("evt_1");
    let delivering = endpoint.deliver_with(&request, Body::new([Step::Stall]));
    let waited_for = tokio::select! {
        biased;
        _ = delivering => None,
        waiting = async { settle().await; told.at(Stage::Body) } => Some(waiting),
    };
    assert_eq!(waited_for, Some(1), "its body is waited for");
    assert_eq!((told.at(Stage::Body), told.answered()), (0, Vec::new()));
}

#[tokio::test]
async fn secrets_are_told_by_label_and_panics_to_the_others() {
    let told = Told::default();
    let endpoint = Endpoint::new(circa().observer(Panics).observer(told.clone()), Gate::open().routes());
    let secret = |label: &str| Secret::new(SECRET).unwrap().labeled(label);
    let rotated = Secrets::new([secret("new"), secret("old")]).unwrap();
    endpoint.receiver.replace_secrets(rotated);
    let newest = || Secret::new(OTHER_SECRET).unwrap().labeled("newest");
    for _ in 0..2 {
        endpoint.receiver.rotate_to(newest());
    }
    let configured = ["circa circa #0", "circa circa new old", "circa circa newest new"];
    assert_eq!(told.0.lock().unwrap().configured, configured);
    assert_eq!(endpoint.deliver(&Request::circa("evt_1")).await.status(), 200);
    assert_eq!((told.0.lock().unwrap().panics, endpoint.receiver.observer_panics()), (1, 1));
}

/// Nothing is told of secrets that have no effect.
#[tokio::test]
async fn secrets_of_an_unsigned_receiver_are_not_told() {
    let told = Told::default();
    let receiver = Receiver::dangerous_circularo_unsigned().observer(told.clone()).build().unwrap();
    receiver.replace_secrets(Secret::new(SECRET).unwrap());
    receiver.rotate_to(Secret::new(OTHER_SECRET).unwrap());
    assert_eq!(told.0.lock().unwrap().configured, ["circularo circularo "]);
}

/// Blocks its thread over one event until it is let go.
struct Blocks {
    begun: tokio::sync::mpsc::UnboundedSender<()>,
    let_go: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Observer for Blocks {
    fn authenticated(&self, delivery: &Delivery) {
        if delivery.event().id() == "evt_blocked" {
            self.begun.send(()).unwrap();
            self.let_go.lock().unwrap().recv().unwrap();
        }
    }
}

/// The other deliveries are answered while it blocks: no lock of ours is held around an observer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_that_blocks_delays_its_own_delivery_alone() {
    let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
    let (let_go, wait) = std::sync::mpsc::channel();
    let observer = Blocks { begun, let_go: Mutex::new(wait) };
    let endpoint = Endpoint::new(circa().observer(observer), Gate::open().routes());
    let blocked = endpoint.spawn(&Request::circa("evt_blocked"));
    has_begun.recv().await.unwrap();
    for number in 0..50 {
        assert_eq!(endpoint.deliver(&Request::circa(&format!("evt_{number}"))).await.status(), 200);
    }
    assert!(!blocked.is_finished());
    let_go.send(()).unwrap();
    assert_eq!(blocked.await.unwrap().status(), 200);
}
