//! The two senders: Circa, which sends again on its schedule, compressed, and Circularo, which
//! never does.

use std::{rc::Rc, time::Duration};

use axum::http::Request;
use circa_receiver::{
    Sender,
    testing::{
        CircaSigner, CircaSimulator, CircularoSigner, Faults, Fixture, HandlerRuns, SENDER_TIMEOUT, SignedRequest,
        SimulatedBody, Target, fixtures,
    },
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::front::Front;
use super::options::Options;
use super::settings::{ACK_DEADLINE, CIRCA_SECRET, CIRCULARO_SECRET, EVENTS_PER_SECOND, LEASE};

/// One event in this many is Circularo's.
const CIRCULARO_EVERY: usize = 4;
/// How many events are sent once more at a time.
const AT_ONCE: usize = 32;
/// How often an event that is refused is then sent, until it is stuck.
const AGAIN_EVERY: Duration = Duration::from_millis(500);

/// The events of a storm, which follow from their number.
pub(super) fn events(count: usize) -> Vec<Fixture> {
    let (circa, circularo): (Vec<_>, Vec<_>) =
        fixtures().into_iter().partition(|event| event.sender() == Sender::CIRCA);
    let event = |number: usize| {
        if number.is_multiple_of(CIRCULARO_EVERY) {
            circularo[number / CIRCULARO_EVERY % circularo.len()].with_id(&format!("doc_{number}"))
        } else {
            circa[number % circa.len()].with_id(&format!("evt_{number}"))
        }
    };
    (0..count).map(event).collect()
}

/// Whether its sender sends it again.
pub(super) fn is_retried(event: &Fixture) -> bool {
    event.sender() == Sender::CIRCA
}

/// Sends all events at their rate, from their first attempts to their last.
pub(super) async fn send_all(events: &[Fixture], front: &Rc<Front>, options: &Options) {
    let mut every = interval(Duration::from_secs(1) / EVENTS_PER_SECOND as u32);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lives = JoinSet::new();
    for (number, event) in events.iter().enumerate() {
        every.tick().await;
        let seed = options.seed.wrapping_add(number as u64);
        lives.spawn_local(live(event.clone(), Rc::clone(front), seed, options.schedule_divisor()));
    }
    lives.join_all().await;
}

async fn live(event: Fixture, front: Rc<Front>, seed: u64, divisor: u32) {
    let target = front.of(event.id());
    if !is_retried(&event) {
        let _ = timeout(SENDER_TIMEOUT, target.deliver(request(&event))).await;
        return;
    }
    let simulator = CircaSimulator::new(&path(&event), CIRCA_SECRET).events([event]).seed(seed);
    let simulator = simulator.faults(Faults::none().answers_lost().twice_at_once());
    // What the handlers did stands in the storm's own ledger.
    let _ = simulator.schedule_divided_by(divisor).run(target, &HandlerRuns::default()).await;
}

/// Sends every event once more, until it is answered 2xx. What is not, though a lease and an ack
/// deadline have passed, is stuck.
pub(super) async fn send_again(events: &[Fixture], front: &Rc<Front>) -> Vec<String> {
    let (permits, mut sent) = (Rc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for event in events {
        let (event, front, permits) = (event.clone(), Rc::clone(front), Rc::clone(&permits));
        sent.spawn_local(async move {
            let _permit = permits.acquire().await.expect("the semaphore is never closed");
            (!is_taken(&event, &front).await).then(|| event.id().to_owned())
        });
    }
    sent.join_all().await.into_iter().flatten().collect()
}

async fn is_taken(event: &Fixture, front: &Rc<Front>) -> bool {
    let deadline = Instant::now() + 2 * LEASE + 2 * ACK_DEADLINE;
    loop {
        let answer = timeout(SENDER_TIMEOUT, front.of(event.id()).deliver(request(event))).await;
        if answer.ok().flatten().is_some_and(|answer| answer.is_success()) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(AGAIN_EVERY).await;
    }
}

fn request(event: &Fixture) -> Request<SimulatedBody> {
    let signed = if is_retried(event) {
        SignedRequest::circa(&CircaSigner::new(CIRCA_SECRET), event.body())
    } else {
        SignedRequest::circularo(&CircularoSigner::new(CIRCULARO_SECRET), event.body())
    };
    let signed = signed.uri(&path(event)).header("content-length", &event.body().len().to_string());
    signed.build::<Vec<u8>>().map(SimulatedBody::whole)
}

fn path(event: &Fixture) -> String {
    format!("/webhooks/{}", event.sender().name())
}
