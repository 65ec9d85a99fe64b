//! The PostgreSQL inbox against a real server: what every inbox must do, and what only this one
//! must.

mod transactions;

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use circa_receiver::{
    DedupStore, Inbox, PostgresInbox, PostgresStore,
    dedup::{
        ClaimAnswer, ClaimRequest, Nonce,
        sqlx::{self, AssertSqlSafe, PgPool, postgres::PgPoolOptions},
    },
    inbox::{AcceptRequest, Accepted, Cause, Entry, Interest, LeaseRequest, Settlement},
    testing::inbox_tests::Subject,
};
use circa_receiver_test_support::{Relay, postgres::PostgresServer};

/// Longer than the default, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);
const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(600);

/// The server of all tests that do it no harm.
fn server() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(|| PostgresServer::start_with(&["max_connections=300"]))
}

fn patient(schema: &str) -> PostgresInbox {
    let inbox = PostgresInbox::connect_lazy(&server().url()).unwrap();
    inbox.max_connections(16).timeout(PATIENCE).schema(schema)
}

fn pool(server: &PostgresServer) -> PgPool {
    PgPoolOptions::new().max_connections(1).connect_lazy(&server.url()).unwrap()
}

/// Moves time for all rows of a schema at once, without the inbox.
fn passing(
    pool: PgPool,
    schema: &'static str,
) -> impl Fn(Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    move |time| {
        let by = format!("interval '{} ms'", time.as_millis());
        let sql = format!(
            "UPDATE {schema}.circa_receiver_inbox SET due = due - {by}, arrived = arrived - {by};
             UPDATE {schema}.circa_receiver_claims SET ends = ends - {by} WHERE ends < '9999-01-01'"
        );
        let pool = pool.clone();
        Box::pin(async move { _ = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap() })
    }
}

/// A schema of its own for every subject: moving time moves it for all rows.
async fn subject() -> Subject {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let schema: &'static str = format!("behaviours_{}", NEXT.fetch_add(1, Ordering::Relaxed)).leak();
    let inbox = patient(schema);
    inbox.migrate().await.unwrap();
    Subject::new(inbox, passing(pool(server()), schema)).entries(10_000).in_flight(8)
}

/// With a server of its own, which can be taken away.
async fn alone() -> Subject {
    let server = PostgresServer::start();
    let inbox = PostgresInbox::connect_lazy(&server.url()).unwrap();
    inbox.migrate().await.unwrap();
    let time = passing(pool(&server), "public");
    let server = Arc::new(Mutex::new(server));
    let restarted = Arc::clone(&server);
    let blocking = |server: &Arc<Mutex<PostgresServer>>, change: fn(&mut PostgresServer)| {
        let server = Arc::clone(server);
        async move { tokio::task::spawn_blocking(move || change(&mut server.lock().unwrap())).await.unwrap() }
    };
    Subject::new(inbox, time)
        .outage(move || blocking(&server, PostgresServer::kill), move || blocking(&restarted, PostgresServer::restart))
}

circa_receiver::inbox_tests!(subject, outage = alone);

/// What the server answers where its disk has no room for a page more.
async fn with_a_full_disk() -> Subject {
    let inbox = patient("disk_full");
    inbox.migrate().await.unwrap();
    let answer = "RAISE 'could not extend file: no space left on device' USING ERRCODE = 'disk_full'";
    server().sql(&format!(
        "CREATE FUNCTION public.no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {answer}; END $$"
    ));
    let sql = |statement: &'static str| {
        move || async move {
            tokio::task::spawn_blocking(move || _ = server().sql(statement)).await.unwrap();
        }
    };
    Subject::new(inbox, passing(pool(server()), "disk_full")).outage(
        sql("CREATE TRIGGER no_room BEFORE INSERT ON disk_full.circa_receiver_inbox EXECUTE FUNCTION public.no_room()"),
        sql("DROP TRIGGER no_room ON disk_full.circa_receiver_inbox"),
    )
}

circa_receiver::inbox_tests!(full = with_a_full_disk);

fn entry(id: &str) -> Entry {
    Entry::from_parts("circa", id, "a.type", "{}", "{}".into())
}

async fn accept(inbox: &PostgresInbox, id: &str, nonce: u128) -> Accepted {
    inbox.accept(AcceptRequest::new(entry(id), Nonce::new(nonce))).await.unwrap()
}

/// Contract, section 8a: turning the inbox on or off over the same database forgets nothing.
#[tokio::test]
async fn one_truth_for_an_inbox_and_a_dedup_store() {
    let inbox = patient("one_truth");
    inbox.migrate().await.unwrap();
    let store = PostgresStore::connect_lazy(&server().url()).unwrap().timeout(PATIENCE).schema("one_truth");
    store.check().await.unwrap();
    let claim = async |id: &str| {
        let (key, fingerprint) = (entry(id).key(), entry(id).fingerprint());
        store.claim(ClaimRequest::new(&key, fingerprint, Nonce::new(7), LEASE, RETENTION)).await.unwrap()
    };
    let done = ClaimAnswer::Done { same_body: true };
    let ClaimAnswer::Won(token) = claim("by dedup").await else { panic!("not won") };
    assert!(
        matches!(accept(&inbox, "by dedup", 1).await, Accepted::InProgress { retry_after } if retry_after <= LEASE)
    );
    assert!(store.complete(&entry("by dedup").key(), token, RETENTION).await.unwrap());
    assert_eq!(accept(&inbox, "by dedup", 2).await, Accepted::Known { same_body: true });

    assert_eq!(accept(&inbox, "by inbox", 3).await, Accepted::New);
    assert_eq!(claim("by inbox").await, done, "not handled yet, and safe");
    assert!(!store.forget(&entry("by inbox").key()).await.unwrap(), "forgotten before it was handled");
    let interests = [Interest::all("circa")];
    let leased = inbox.lease(LeaseRequest::new("one", &interests, 10, LEASE)).await.unwrap();
    assert_eq!(leased.len(), 1);
    assert!(inbox.settle(leased[0].lease(), Settlement::Complete { retention: RETENTION }).await.unwrap());
    assert_eq!(claim("by inbox").await, done);
    assert!(store.forget(&entry("by inbox").key()).await.unwrap());
    assert_eq!(accept(&inbox, "by inbox", 4).await, Accepted::New);
}

/// A settlement whose connection breaks behind its commit is repeated, answers as it would have, and
/// changes nothing more: it was not lost to another worker.
#[tokio::test]
async fn a_settlement_whose_answer_was_lost_is_the_same_again() {
    let direct = patient("lost_answers");
    direct.migrate().await.unwrap();
    let relay = Relay::to(server().port());
    let inbox = PostgresInbox::connect_lazy(&server().url_through(&relay)).unwrap();
    let inbox = inbox.timeout(PATIENCE).max_connections(1).schema("lost_answers");
    let (after, error) = (RETENTION, "why".to_owned());
    let settlements = [
        // Prepares the statement: what is lost from then on is the answer to its execution.
        ("nothing is lost", Settlement::Complete { retention: RETENTION }),
        ("complete", Settlement::Complete { retention: RETENTION }),
        ("retry", Settlement::Retry { after, error: error.clone() }),
        ("postpone", Settlement::Postpone { after, error: error.clone() }),
        ("bury", Settlement::Bury { cause: Cause::Permanent, error }),
    ];
    for (name, settlement) in settlements {
        accept(&direct, name, 1).await;
        let interests = [Interest::all("circa")];
        let leased = direct.lease(LeaseRequest::new("one", &interests, 10, LEASE)).await.unwrap();
        if name != "nothing is lost" {
            relay.lose_the_next_answer();
        }
        let answer = inbox.settle(leased[0].lease(), settlement.clone()).await;
        assert!(matches!(answer, Ok(true)) && relay.has_lost_it(), "{name}: {answer:?}");
        let failures = format!(
            "SELECT jsonb_array_length(failures) FROM lost_answers.circa_receiver_inbox WHERE event = '{name}'"
        );
        assert_eq!(
            server().sql(&failures),
            if matches!(settlement, Settlement::Complete { .. }) { "0" } else { "1" },
            "{name}"
        );
        assert!(!inbox.settle(leased[0].lease(), settlement).await.unwrap(), "{name}: without a break");
    }
}

/// All processes may start at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_migrate_at_once() {
    for schema in ["at_once", "we\"ird 'schema"] {
        let migrations: Vec<_> = (0..8)
            .map(|_| {
                let inbox = patient(schema);
                tokio::spawn(async move { inbox.migrate().await })
            })
            .collect();
        for migration in migrations {
            migration.await.unwrap().unwrap_or_else(|error| panic!("{schema:?}: {error}"));
        }
        assert_eq!(accept(&patient(schema), "evt_1", 1).await, Accepted::New);
    }
}

/// `validate` says what is missing, and what to do.
#[tokio::test]
async fn what_is_missing_is_told() {
    let inbox = patient("missing");
    let told = async || inbox.validate().await.unwrap_err().to_string();
    assert!(told().await.contains("call `PostgresInbox::migrate`"));
    PostgresStore::connect_lazy(&server().url()).unwrap().schema("missing").migrate().await.unwrap();
    assert!(told().await.contains("a table is missing in the schema"), "{}", told().await);
    server().sql(&inbox.schema_sql());
    inbox.validate().await.unwrap();
    server().sql("DROP TABLE missing.circa_receiver_inbox_pauses");
    assert!(told().await.contains("a table is missing in the schema"), "{}", told().await);
    inbox.migrate().await.unwrap();
    server().sql("COMMENT ON TABLE missing.circa_receiver_inbox IS 'circa-receiver inbox, version 9'");
    assert!(told().await.contains("another version"));
}

/// A role needs no more than `grants_sql` says.
#[tokio::test]
async fn a_role_with_its_grants_can_do_all() {
    let owner = patient("granted");
    owner.migrate().await.unwrap();
    server().sql("CREATE ROLE inbox_role LOGIN");
    let url = server().url_as("inbox_role");
    let inbox = PostgresInbox::connect_lazy(&url).unwrap().timeout(PATIENCE).schema("granted");
    assert!(inbox.validate().await.is_err(), "without its grants");
    server().sql(&owner.grants_sql("inbox_role"));
    inbox.migrate().await.unwrap();
    assert_eq!(accept(&inbox, "evt_1", 1).await, Accepted::New);
    let interests = [Interest::all("circa")];
    let leased = inbox.lease(LeaseRequest::new("one", &interests, 10, LEASE)).await.unwrap();
    assert!(inbox.renew(leased[0].lease(), LEASE).await.unwrap());
    let nul = Settlement::Retry { after: Duration::ZERO, error: "a NUL: \0".to_owned() };
    assert!(inbox.settle(leased[0].lease(), nul).await.unwrap());
    assert_eq!(inbox.stats("circa").await.unwrap().ready, 1);
    let failures = server().sql("SELECT jsonb_array_length(failures) FROM granted.circa_receiver_inbox");
    assert_eq!(failures, "1");
}

/// Contract, section 7: what is left to the background is bounded. Without a dedup store, accepts
/// sweep the claims, and leases the events.
#[tokio::test]
async fn an_inbox_sweeps_its_claims_and_its_events() {
    let inbox = patient("swept");
    inbox.migrate().await.unwrap();
    let filled = "swept.circa_receiver";
    server().sql(&format!(
        "INSERT INTO {filled}_claims (token, ends, done, key, nonce, fingerprint)
         SELECT nextval('{filled}_tokens'), clock_timestamp() - interval '100 hours', true, int8send(id), '\\x00', '\\x00'
         FROM generate_series(1, 2500) AS id;
         INSERT INTO {filled}_inbox (id, due, arrived, state, endpoint, type, event, key, details, body)
         SELECT token, ends, ends, 2, 'circa', 'a.type', token, key, '{{}}', '{{}}' FROM {filled}_claims"
    ));
    for id in 0..1_000 {
        accept(&inbox, &id.to_string(), 1).await;
    }
    let none = [Interest::all("nothing")];
    inbox.lease(LeaseRequest::new("worker", &none, 1, LEASE)).await.unwrap();
    let rows = |table: &str| server().sql(&format!("SELECT count(*) FROM {filled}_{table}"));
    let started = Instant::now();
    while [rows("claims"), rows("inbox")] != ["1000", "1000"] {
        assert!(started.elapsed() < 6 * PATIENCE, "{} claims and {} events", rows("claims"), rows("inbox"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A lease takes a statement for each interest: where one fails, those before it have leased.
#[tokio::test]
async fn what_was_leased_before_an_error_runs() {
    let inbox = patient("leased_partly");
    inbox.migrate().await.unwrap();
    accept(&inbox, "evt_1", 1).await;
    // PostgreSQL refuses a NUL in a text.
    let failing = Interest::of_types("circa", vec!["\0".to_owned()]);
    let interests = [Interest::all("circa"), failing];
    let request = LeaseRequest::new("worker", &interests, 10, LEASE);
    assert_eq!(inbox.lease(request.clone()).await.unwrap().len(), 1);
    inbox.lease(request).await.unwrap_err();
}
