//! What strangers can have held and asked for while the secrets of a tenant are looked up:
//! contract, sections 1a and 8b.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use circa_receiver::{
    AnyEvent, BoxError, HandlerError, PortableHandler, Receiver, ReceiverBuilder, Routes, Secret, SecretSource,
    Secrets,
    adapter::{Head, Reception},
    async_trait,
    testing::{CircaSigner, TokioClock},
};
use tokio::{task::JoinHandle, time::Instant};

use crate::support::receiving::{
    Body, HANDLED, NOW, Notes, SECRET, Step, UNAVAILABLE, answer, circa_body, routes, seconds, settle,
};

/// Knows every tenant by the same secret; it does not answer while it hangs.
#[derive(Clone, Default)]
struct Source {
    hangs: Arc<AtomicBool>,
    /// Held by each call that runs.
    calls: Arc<()>,
}

impl Source {
    fn that_hangs() -> Self {
        let source = Self::default();
        source.hangs.store(true, Ordering::SeqCst);
        source
    }

    fn calls(&self) -> usize {
        // Those of the test and of the receiver are no calls.
        Arc::strong_count(&self.calls) - 2
    }
}

#[async_trait]
impl SecretSource for Source {
    async fn secrets(&self, _: &str) -> Result<Option<Secrets>, BoxError> {
        let _call = Arc::clone(&self.calls);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(Some(Secret::new(SECRET)?.into()))
    }
}

struct Request {
    tenant: String,
    signature: (&'static str, String),
}

impl Head for Request {
    fn method(&self) -> &str {
        "POST"
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        std::iter::once((self.signature.0, self.signature.1.as_bytes()))
    }

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }
}

/// A receiver for the tenants of a source.
#[derive(Clone)]
struct Tenants {
    receiver: Receiver,
    routes: Arc<Routes<PortableHandler<()>>>,
    notes: Notes,
}

impl Tenants {
    fn with(source: &Source, change: impl FnOnce(ReceiverBuilder) -> ReceiverBuilder) -> Self {
        let notes = Notes::default();
        let builder = Receiver::circa_for(source.clone()).clock(TokioClock::starting_at(NOW)).observer(notes.clone());
        let routes = routes(|_: AnyEvent| async { Ok::<(), HandlerError>(()) });
        Self { receiver: change(builder).build().unwrap(), routes: Arc::new(routes), notes }
    }

    /// Delivers to a tenant, in the background; its body comes after these steps.
    fn spawn(&self, tenant: &str, before: &[Step]) -> JoinHandle<(u16, &'static str)> {
        let body = circa_body("evt_1");
        let signature = CircaSigner::new(SECRET).sign(NOW, body.as_bytes());
        let head = Request { tenant: tenant.to_owned(), signature: ("Circa-Signature", signature) };
        let body = Body::new(before.iter().cloned().chain([Step::Chunk(body.into())]));
        let tenants = self.clone();
        tokio::spawn(async move {
            match tenants.receiver.receive(&head, body, &tenants.routes).await {
                Reception::Answered(response) => answer(&response),
                Reception::Admitted(admitted, handler) => {
                    let handler = handler.clone();
                    let (task, response) = admitted.run(move |delivery| handler.call(delivery, ()));
                    answer(&response.wait_for(tokio::spawn(task)).await)
                }
            }
        })
    }

    /// How many were given up for a newcomer.
    fn shed(&self) -> usize {
        self.notes.count("rejected overloaded")
    }
}

/// "When either is spent, the oldest unfinished reader is evicted": also the one that waits for a
/// look-up, with its body whole.
#[tokio::test(start_paused = true)]
async fn a_body_is_counted_while_secrets_are_looked_up() {
    type Change = fn(ReceiverBuilder) -> ReceiverBuilder;
    let at_once: &[Step] = &[];
    let later: &[Step] = &[Step::Yield];
    let bounds: [(&str, Change); 2] = [
        ("their number", |builder| builder.max_readers(2)),
        ("their bytes", |builder| builder.max_reader_bytes(circa_body("evt_1").len() * 5 / 2)),
    ];
    for (name, before) in [("there with its head", at_once), ("waited for", later)] {
        for (bound, change) in bounds {
            let tenants = Tenants::with(&Source::that_hangs(), change);
            let started = Instant::now();
            let mut deliveries = Vec::new();
            for tenant in ["first", "second", "third"] {
                deliveries.push(tenants.spawn(tenant, before));
                settle().await;
            }
            assert_eq!(tenants.shed(), 1, "{name}, {bound}");
            assert!(deliveries[0].is_finished(), "{name}, {bound}: the oldest");
            assert_eq!(started.elapsed(), Duration::ZERO, "{name}, {bound}");
            for delivery in deliveries {
                assert_eq!(delivery.await.unwrap(), UNAVAILABLE, "{name}, {bound}");
            }
            assert_eq!(tenants.notes.count("rejected secrets_unavailable"), 2, "{name}, {bound}");
        }
    }
}

/// A body that had to be waited for is as old as that while its look-up runs, and gives way first.
#[tokio::test(start_paused = true)]
async fn a_reader_keeps_its_age_while_secrets_are_looked_up() {
    let tenants = Tenants::with(&Source::that_hangs(), |builder| builder.max_readers(2));
    let first = tenants.spawn("first", &[Step::Pause(Duration::from_millis(10))]);
    settle().await;
    let second = tenants.spawn("second", &[]);
    tokio::time::sleep(Duration::from_millis(20)).await;
    // Of the same tenant, so that it waits for a look-up that runs.
    let third = tenants.spawn("first", &[]);
    settle().await;
    assert_eq!((tenants.shed(), first.is_finished()), (1, true));
    assert!(!second.is_finished() && !third.is_finished());
}

/// A place is given back with the end of the look-up, and nobody is registered whose tenant is
/// known.
#[tokio::test(start_paused = true)]
async fn places_are_given_back_after_a_look_up() {
    let tenants = Tenants::with(&Source::default(), |builder| builder.max_readers(1));
    for tenant in ["first", "second"] {
        assert_eq!(tenants.spawn(tenant, &[]).await.unwrap(), HANDLED, "{tenant}");
    }
    let reading = tenants.spawn("third", &[Step::Stall]);
    settle().await;
    assert_eq!(tenants.spawn("first", &[]).await.unwrap().0, 200);
    assert!(!reading.is_finished());
    assert_eq!(tenants.shed(), 0);
}

/// Strangers who hang up again and again leave no more calls of the source behind than bodies may
/// be waited for, and the look-up of a newcomer ends.
#[tokio::test(start_paused = true)]
async fn look_ups_are_bounded_though_their_senders_have_hung_up() {
    let source = Source::that_hangs();
    let tenants = Tenants::with(&source, |builder| builder.max_readers(3));
    for n in 0..10 {
        let delivery = tenants.spawn(&format!("made-up-{n}"), &[]);
        settle().await;
        delivery.abort();
        assert!(delivery.await.unwrap_err().is_cancelled());
        settle().await;
        assert_eq!(source.calls(), (n + 1).min(3), "after {n}");
    }
    source.hangs.store(false, Ordering::SeqCst);
    assert_eq!(tenants.spawn("acme", &[]).await.unwrap(), HANDLED);
    // What gave way to newcomers is not remembered as a failure.
    assert_eq!(tenants.spawn("made-up-0", &[]).await.unwrap(), HANDLED);
    tokio::time::sleep(seconds(3)).await;
    assert_eq!(source.calls(), 0);
}
