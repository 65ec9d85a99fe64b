//! Several tenants behind one route: contract, section 8b.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex},
};

use circa_receiver::{
    AnyEvent, BoxError, Delivery, HandlerError, Observer, Receiver, ReceiverBuilder, Rejection, Routes, Secret,
    SecretSource, Secrets,
    adapter::{Head, StoredHandler},
    async_trait,
    testing::{CircaSigner, TokioClock},
};
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, advance, sleep},
};

use crate::support::receiving::{
    ACCEPTED, DUPLICATE, HANDLED, NOW, Notes, ScriptedInbox, UNAUTHORIZED, UNAVAILABLE, answer, circa_body, seconds,
};

/// How the source behaves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Mood {
    #[default]
    Answers,
    Fails,
    Hangs,
    Panics,
}

/// Secrets by tenant, and when each was looked up.
#[derive(Clone, Default)]
struct Source(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    mood: Mood,
    secrets: HashMap<String, Vec<String>>,
    asked: HashMap<String, Vec<Instant>>,
}

#[async_trait]
impl SecretSource for Source {
    async fn secrets(&self, tenant: &str) -> Result<Option<Secrets>, BoxError> {
        let (mood, secrets) = {
            let mut inner = self.0.lock().unwrap();
            inner.asked.entry(tenant.to_owned()).or_default().push(Instant::now());
            (inner.mood, inner.secrets.get(tenant).cloned())
        };
        match mood {
            Mood::Answers => {}
            Mood::Fails => return Err("the database is away".into()),
            Mood::Hangs => pending().await,
            Mood::Panics => panic!("on purpose"),
        }
        // Long enough for others to come meanwhile.
        sleep(Duration::from_millis(20)).await;
        let Some(secrets) = secrets else { return Ok(None) };
        Ok(Some(Secrets::new(secrets.iter().map(|secret| Secret::new(secret).unwrap()))?))
    }
}

impl Source {
    fn of(tenants: &[&str]) -> Self {
        let source = Self::default();
        tenants.iter().for_each(|tenant| source.set(tenant, &[0]));
        source
    }

    fn set(&self, tenant: &str, versions: &[usize]) {
        let secrets = versions.iter().map(|version| secret(tenant, *version)).collect();
        self.0.lock().unwrap().secrets.insert(tenant.to_owned(), secrets);
    }

    fn feels(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    fn look_ups(&self, tenant: &str) -> usize {
        self.0.lock().unwrap().asked.get(tenant).map_or(0, Vec::len)
    }
}

fn secret(tenant: &str, version: usize) -> String {
    format!("whsec_{tenant}_0123456789abcdef_{version}")
}

#[derive(Clone)]
struct Request<'r> {
    tenant: Option<&'r str>,
    headers: Vec<(&'static str, String)>,
}

impl Head for Request<'_> {
    fn method(&self) -> &str {
        "POST"
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (*name, value.as_bytes()))
    }

    fn tenant(&self) -> Option<&str> {
        self.tenant
    }
}

/// A receiver for the tenants of a source, and what its handler and its observer saw.
#[derive(Clone)]
struct Tenants {
    receiver: Receiver,
    clock: TokioClock,
    notes: Notes,
    handled: Arc<Mutex<Vec<String>>>,
}

impl Tenants {
    fn of(source: &Source) -> Self {
        Self::with(source, |builder| builder)
    }

    fn with(source: &Source, change: impl FnOnce(ReceiverBuilder) -> ReceiverBuilder) -> Self {
        let (clock, notes) = (TokioClock::starting_at(NOW), Notes::default());
        let receiver = Receiver::circa_for(source.clone()).clock(clock).observer(notes.clone());
        let receiver = change(receiver).build().unwrap();
        Self { receiver, clock, notes, handled: Arc::default() }
    }

    /// A delivery to a tenant, signed with this secret: its status, and its body or outcome.
    async fn deliver_signed(&self, tenant: Option<&str>, secret: &str, id: &str) -> (u16, &'static str) {
        self.deliver_aged(tenant, secret, id, 0).await
    }

    /// As [`Tenants::deliver_signed`], signed so many seconds ago.
    async fn deliver_aged(&self, tenant: Option<&str>, secret: &str, id: &str, age: i64) -> (u16, &'static str) {
        let now = circa_receiver::Clock::unix_seconds(&self.clock).unwrap();
        let body = circa_body(id);
        let signature = CircaSigner::new(secret).sign(now - age, body.as_bytes());
        let handled = Arc::clone(&self.handled);
        let routes = Routes::new().fallback(move |event: AnyEvent, (): ()| {
            handled.lock().unwrap().push(event.id().to_owned());
            async { Ok::<(), HandlerError>(()) }
        });
        let head = Request { tenant, headers: vec![("Circa-Signature", signature)] };
        answer(&self.receiver.handle(&head, body, &routes, ()).await)
    }

    /// As its sender does, with the secret of this version.
    async fn deliver(&self, tenant: &str, version: usize, id: &str) -> (u16, &'static str) {
        self.deliver_signed(Some(tenant), &secret(tenant, version), id).await
    }
}

/// "Unknown tenants and failed signatures get the same 401"; a name that no tenant can have costs
/// no look-up.
#[tokio::test(start_paused = true)]
async fn each_tenant_has_its_own_secrets() {
    let source = Source::of(&["acme", "umbrella", ".."]);
    let tenants = Tenants::of(&source);
    let (acme, long) = (secret("acme", 0), "x".repeat(129));
    let cases = [
        ("its own secret", Some("acme"), HANDLED, 1),
        ("another tenant's", Some("umbrella"), UNAUTHORIZED, 1),
        ("an unknown tenant", Some("nobody"), UNAUTHORIZED, 1),
        ("no tenant", None, UNAUTHORIZED, 0),
        ("an empty name", Some(""), UNAUTHORIZED, 0),
        ("a path", Some("../acme"), UNAUTHORIZED, 0),
        ("the folder above", Some(".."), UNAUTHORIZED, 0),
        ("too long", Some(&*long), UNAUTHORIZED, 0),
    ];
    for (name, tenant, expected, look_ups) in cases {
        assert_eq!(tenants.deliver_signed(tenant, &acme, "evt_1").await, expected, "{name}");
        assert_eq!(source.look_ups(tenant.unwrap_or_default()), look_ups, "{name}");
    }
    // The tenant is part of the dedup key, and not told of who is not authentic.
    assert_eq!(tenants.deliver("umbrella", 0, "evt_1").await, HANDLED);
    assert_eq!(tenants.deliver("umbrella", 0, "evt_1").await.1, "duplicate");
    assert!(tenants.receiver.forget_of_tenant("umbrella", "evt_1").await.unwrap());
    assert_eq!(tenants.deliver("umbrella", 0, "evt_1").await, HANDLED);
    assert!(tenants.notes.all().iter().all(|note| !note.contains("nobody")), "{:?}", tenants.notes.all());
}

/// The endpoint and the reason of each refusal.
#[derive(Clone, Default)]
struct Refusals(Arc<Mutex<Vec<String>>>);

impl Observer for Refusals {
    fn rejected(&self, endpoint: &str, rejection: Rejection) {
        self.0.lock().unwrap().push(format!("{endpoint} {}", rejection.reason()));
    }
}

/// "The tenant is part of the endpoint name, and so of every key, log line and inbox row", once a
/// signature has proved it.
#[tokio::test(start_paused = true)]
async fn refusals_name_the_tenant_that_has_signed() {
    let refusals = Refusals::default();
    let tenants = Tenants::with(&Source::of(&["acme"]), |builder| builder.observer(refusals.clone()));
    let (acme, stranger) = (secret("acme", 0), secret("stranger", 0));
    tenants.deliver_aged(Some("acme"), &acme, "evt_1", 301).await;
    tenants.deliver_aged(Some("acme"), &acme, "not visible \u{e4}", 0).await;
    tenants.deliver_aged(Some("acme"), &stranger, "evt_1", 301).await;
    tenants.receiver.shutdown().await;
    tenants.deliver_aged(Some("acme"), &acme, "evt_1", 0).await;
    let expected = [
        "circa/acme timestamp_out_of_tolerance",
        "circa/acme malformed_payload",
        "circa signature_mismatch",
        "circa/acme shutting_down",
    ];
    assert_eq!(*refusals.0.lock().unwrap(), expected);
}

/// "Answers are cached (for 60 s by default, also "unknown", single-flight)".
#[tokio::test(start_paused = true)]
async fn one_look_up_serves_all_for_a_minute() {
    let source = Source::of(&["acme"]);
    let tenants = Tenants::of(&source);
    let mut at_once = JoinSet::new();
    for n in 0..50 {
        let tenants = tenants.clone();
        at_once.spawn(async move { tenants.deliver("acme", 0, &format!("evt_{n}")).await });
    }
    assert!(at_once.join_all().await.iter().all(|answer| *answer == HANDLED));
    assert_eq!(source.look_ups("acme"), 1, "at once");
    advance(seconds(59)).await;
    assert_eq!((tenants.deliver("acme", 0, "evt_59").await, source.look_ups("acme")), (HANDLED, 1));
    advance(seconds(1)).await;
    assert_eq!((tenants.deliver("acme", 0, "evt_60").await, source.look_ups("acme")), (HANDLED, 2));
    // A flood for a tenant that does not exist, for five minutes.
    for n in 0..3_000 {
        assert_eq!(tenants.deliver("nobody", 0, &format!("evt_{n}")).await, UNAUTHORIZED);
        advance(Duration::from_millis(100)).await;
    }
    assert!(source.look_ups("nobody") <= 6, "{} look-ups in five minutes", source.look_ups("nobody"));
}

/// A stranger who hangs up again and again costs no look-up more.
#[tokio::test(start_paused = true)]
async fn hanging_up_does_not_stop_a_look_up() {
    let source = Source::of(&["acme"]);
    let tenants = Tenants::of(&source);
    for _ in 0..100 {
        let delivery = tenants.deliver("acme", 1, "evt_1");
        let _ = tokio::time::timeout(Duration::from_micros(1), delivery).await;
    }
    assert_eq!(tenants.deliver("acme", 0, "evt_1").await, HANDLED);
    assert_eq!(source.look_ups("acme"), 1);
}

/// "re-read once when a signature does not fit, at most once in 5 s a tenant".
#[tokio::test(start_paused = true)]
async fn a_rotated_secret_is_read_again_at_once() {
    let source = Source::of(&["acme"]);
    let tenants = Tenants::of(&source);
    assert_eq!(tenants.deliver("acme", 0, "evt_0").await, HANDLED);
    advance(seconds(10)).await;
    source.set("acme", &[1]);
    assert_eq!((tenants.deliver("acme", 1, "evt_1").await, source.look_ups("acme")), (HANDLED, 2));
    assert_eq!((tenants.deliver("acme", 0, "evt_2").await, source.look_ups("acme")), (UNAUTHORIZED, 2));
    // Forged ones for a minute: each 5 s one look-up.
    for n in 0..600 {
        assert_eq!(tenants.deliver("acme", 9, &format!("evt_{n}")).await, UNAUTHORIZED);
        advance(Duration::from_millis(100)).await;
    }
    let look_ups = source.look_ups("acme") - 2;
    assert!((10..=13).contains(&look_ups), "{look_ups} look-ups in a minute");
    // A secret that was taken away ends within a minute.
    source.set("acme", &[2]);
    advance(seconds(60)).await;
    assert_eq!(tenants.deliver("acme", 1, "evt_3").await, UNAUTHORIZED);
}

/// Contract, section 8: the ack deadline counts where the source hangs beyond it.
#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_beyond_the_ack_deadline_is_a_503_by_then() {
    let source = Source::of(&["acme"]);
    let tenants = Tenants::with(&source, |builder| builder.ack_deadline(seconds(1)));
    source.feels(Mood::Hangs);
    let started = Instant::now();
    assert_eq!(tenants.deliver("acme", 0, "evt_1").await, UNAVAILABLE);
    assert_eq!(started.elapsed(), seconds(1));
}

/// "The source away: the cached secrets go on up to 1 h, then 503".
#[tokio::test(start_paused = true)]
async fn known_secrets_go_on_for_an_hour_where_the_source_is_away() {
    for mood in [Mood::Fails, Mood::Hangs, Mood::Panics] {
        let source = Source::of(&["acme", "umbrella"]);
        let tenants = Tenants::of(&source);
        assert_eq!(tenants.deliver("acme", 0, "evt_0").await, HANDLED, "{mood:?}");
        source.feels(mood);
        assert_eq!(tenants.deliver("umbrella", 0, "evt_0").await, UNAVAILABLE, "{mood:?}: never known");
        for minute in 1..58 {
            advance(seconds(60)).await;
            assert_eq!(tenants.deliver("acme", 0, &format!("evt_{minute}")).await, HANDLED, "{mood:?}, {minute}");
        }
        assert!(source.look_ups("acme") <= 58, "{mood:?}: {} look-ups", source.look_ups("acme"));
        advance(seconds(180)).await;
        assert_eq!(tenants.deliver("acme", 0, "evt_late").await, UNAVAILABLE, "{mood:?}");
        assert_eq!(tenants.notes.count("rejected secrets_unavailable"), 2, "{mood:?}");
        source.feels(Mood::Answers);
        advance(seconds(60)).await;
        assert_eq!(tenants.deliver("acme", 0, "evt_late").await, HANDLED, "{mood:?}: back");
        assert_eq!(tenants.deliver("umbrella", 0, "evt_0").await, HANDLED, "{mood:?}: back");
    }
}

const TENANTS: usize = 100;
const NIGHT: Duration = Duration::from_secs(8 * 3_600);

/// A night: 100 tenants whose secrets rotate, forged deliveries beside them, the source away for 30
/// minutes. A sender comes again until it is answered 2xx, as Circa does.
#[tokio::test(start_paused = true)]
async fn a_night_of_a_hundred_tenants_loses_nothing() {
    let names: Vec<_> = (0..TENANTS).map(|n| format!("tenant-{n}")).collect();
    let source = Source::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let tenants = Tenants::of(&source);
    let started = Instant::now();
    let mut senders = JoinSet::new();
    for (n, name) in names.iter().enumerate() {
        let (tenants, source, name) = (tenants.clone(), source.clone(), name.clone());
        senders.spawn(async move {
            let (mut sent, mut version) = (0, 0);
            sleep(Duration::from_millis(n as u64 * 700)).await;
            while started.elapsed() < NIGHT {
                // A rotation, once in two hours: the sender signs with the new one at once.
                if started.elapsed().as_secs() / 7_200 > version as u64 {
                    version += 1;
                    source.set(&name, &[version, version - 1]);
                }
                let id = format!("{name}_{sent}");
                assert_eq!(tenants.deliver_signed(Some(&name), "whsec_of_somebody_else", &id).await, UNAUTHORIZED);
                for wait in [30, 120, 600, 3_600] {
                    if tenants.deliver(&name, version, &id).await.0 == 200 {
                        break;
                    }
                    sleep(seconds(wait)).await;
                }
                sent += 1;
                sleep(Duration::from_secs(240 + n as u64 % 60)).await;
            }
            sent
        });
    }
    sleep(seconds(3 * 3_600)).await;
    source.feels(Mood::Fails);
    sleep(seconds(1_800)).await;
    source.feels(Mood::Answers);
    let sent: usize = senders.join_all().await.into_iter().sum();
    let mut handled = tenants.handled.lock().unwrap().clone();
    let runs = handled.len();
    handled.sort();
    handled.dedup();
    assert_eq!((handled.len(), runs), (sent, sent), "each once");
    assert!(sent > 80 * TENANTS, "only {sent} events were sent");
    for (tenant, asked) in &source.0.lock().unwrap().asked {
        let between = asked.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
        assert!(between >= seconds(60), "{tenant}: look-ups {between:?} apart");
    }
}

/// Contract, sections 8a and 8b: with an inbox the receiver's worker runs the events of all
/// tenants, each with its own.
#[tokio::test(start_paused = true)]
async fn events_of_tenants_run_from_an_inbox() {
    let source = Source::of(&["acme", "zeta"]);
    let inbox = ScriptedInbox::new();
    let tenants = Tenants::with(&source, |builder| builder.inbox(inbox.clone()));
    for tenant in ["acme", "zeta"] {
        assert_eq!(tenants.deliver(tenant, 0, "evt_1").await, ACCEPTED, "{tenant}");
        assert_eq!(tenants.deliver(tenant, 0, "evt_1").await, DUPLICATE, "{tenant}");
    }
    let ran = Arc::<Mutex<Vec<String>>>::default();
    let noted = Arc::clone(&ran);
    let handler = StoredHandler::new(move |delivery: Delivery, _| {
        noted.lock().unwrap().push(format!("{} {:?}", delivery.endpoint(), delivery.tenant()));
        async { Ok(()) }
    });
    let worker = tenants.receiver.worker_of_stored(Routes::new().insert_fallback(handler)).unwrap().build().unwrap();
    assert_eq!(worker.drain().await.unwrap(), 2);
    assert_eq!(*ran.lock().unwrap(), ["circa/acme Some(\"acme\")", "circa/zeta Some(\"zeta\")"]);
    assert!(tenants.receiver.forget_of_tenant("acme", "evt_1").await.unwrap());
    assert_eq!(tenants.deliver("acme", 0, "evt_1").await, ACCEPTED, "forgotten");
    assert_eq!(tenants.deliver("zeta", 0, "evt_1").await, DUPLICATE);
}
