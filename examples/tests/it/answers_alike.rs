//! Both reference receivers answer the same request in the same way: status, headers (all but
//! `Date`) and body.

use std::{
    collections::BTreeMap,
    env,
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::support::{
    Answer, Ended, Protocol, REFERENCES, Request, circa,
    deliveries::Deliveries,
    drip, event, event_of_size,
    random::Random,
    read_answer_to, turn,
    vectors::{Rewriter, carried, cases},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

const LANES: usize = 4;
const DELIVERIES_PER_LANE: usize = 2_500;

/// Contract, section 9: "The same request gets the same status, headers and body from the axum and
/// the actix adapter, HTTP/1.1 and HTTP/2".
#[tokio::test(flavor = "multi_thread")]
async fn to_the_vectors() {
    let cases = cases();
    let rewriter = Rewriter::new(&cases);
    for (protocol, expected) in [(Protocol::Http1, 80), (Protocol::Http2, 78)] {
        let mut compared = 0;
        for cases in carried(&cases, protocol) {
            let environment = cases[0].environment();
            let [axum, actix] =
                [REFERENCES[0].start_with(&environment).await, REFERENCES[1].start_with(&environment).await];
            let mut used = BTreeMap::new();
            for case in cases {
                let request = rewriter.rewrite(case, &mut used).request();
                let answers =
                    (request.send_over(protocol, axum.address).await, request.send_over(protocol, actix.address).await);
                assert_eq!(answers.0, answers.1, "{} {} over {protocol:?}", case.id, case.what);
                compared += 1;
            }
            assert_alike(axum.stop().await, actix.stop().await);
        }
        assert_eq!(compared, expected, "{protocol:?}");
    }
}

/// A server's own refusals may differ by the contract. Today's do not, and this tells when that
/// changes.
#[tokio::test]
async fn to_large_bodies_and_floods_of_headers() {
    let many = (0..1_000).fold(circa(event("evt_1")), |request, n| request.header(&format!("X-{n}"), "x"));
    let cases = [
        ("300 KB", circa(event_of_size("evt_1", 300_000)), 200),
        ("1 MiB in chunks", circa(event_of_size("evt_2", 1_048_576)).chunked(60_000), 200),
        ("1 MiB and a byte", circa(event_of_size("evt_3", 1_048_577)), 413),
        ("1,000 headers", many, 431),
        ("a header of 1 MiB", circa(event("evt_4")).header("X-Long", "x".repeat(1_048_576)), 431),
    ];
    let [axum, actix] = [REFERENCES[0].start().await, REFERENCES[1].start().await];
    for (name, request, status) in cases {
        let answers = (request.send(axum.address).await, request.send(actix.address).await);
        assert_eq!(answers.0, answers.1, "{name}");
        assert_eq!(answers.0.status, status, "{name}");
    }
    assert_alike(axum.stop().await, actix.stop().await);
}

/// A byte now and then, until the read deadline. Takes the real ten seconds.
#[tokio::test]
async fn to_a_body_that_drips() {
    let _turn = turn::unhurried().await;
    let [axum, actix] = [REFERENCES[0].start().await, REFERENCES[1].start().await];
    let dripped = tokio::join!(drip(axum.address), drip(actix.address));
    assert_eq!(dripped.0.answer, dripped.1.answer);
    assert_eq!(dripped.0.answer.status, 408);
    assert_alike(axum.stop().await, actix.stop().await);
}

/// What each of them is to be met at least so often among the random deliveries: else they would
/// say little.
const MET: [(u16, Option<&str>, usize); 7] = [
    (200, Some("handled"), 1_000),
    (200, Some("duplicate"), 100),
    (200, Some("ignored"), 20),
    (400, None, 200),
    (401, None, 500),
    (405, None, 100),
    (415, None, 100),
];

/// The environment's `SEED` repeats a run.
#[tokio::test(flavor = "multi_thread")]
async fn to_random_deliveries() {
    let _turn = turn::alone().await;
    let seed = match env::var("SEED") {
        Ok(seed) => seed.parse().expect("SEED is a number"),
        Err(_) => u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()),
    };
    println!("SEED={seed}");
    let [axum, actix] = [REFERENCES[0].start().await, REFERENCES[1].start().await];
    let mut seeds = Random::new(seed);
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let deliveries = Deliveries::new(seeds.draw(), &lane.to_string());
        lanes.spawn(compare(seed, lane, deliveries, [axum.address, actix.address]));
    }
    let mut met = BTreeMap::new();
    let mut differences = Vec::new();
    while let Some(lane) = lanes.join_next().await {
        match lane.unwrap() {
            Ok(told) => told.into_iter().for_each(|told| *met.entry(told).or_insert(0) += 1),
            Err(difference) => differences.push(difference),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    println!("{met:?}");
    for (status, outcome, least) in MET {
        let count = met.get(&(status, outcome.map(str::to_owned))).copied().unwrap_or(0);
        assert!(count >= least, "SEED={seed}: {count} times {status} {outcome:?}: {met:?}");
    }
    assert_alike(axum.stop().await, actix.stop().await);
}

/// Sends one lane's deliveries to both, one after the other; what was told, or how the answers
/// differ.
async fn compare(
    seed: u64,
    lane: usize,
    mut deliveries: Deliveries,
    addresses: [SocketAddr; 2],
) -> Result<Vec<(u16, Option<String>)>, String> {
    let [mut axum, mut actix] = addresses.map(Line::to);
    let mut told = Vec::new();
    for number in 0..DELIVERIES_PER_LANE {
        let request = deliveries.next();
        // HTTP/2 knows no `Connection`.
        let http2 = deliveries.random.one_in(10) && !request.has_header("connection");
        let bytes = [request.head(), request.framed_body()].concat();
        let cuts = [deliveries.random.below(bytes.len()), deliveries.random.below(bytes.len())];
        let answers = if http2 {
            let [axum, actix] = addresses;
            let (axum, actix) = tokio::join!(request.send_http2(axum), request.send_http2(actix));
            (Some(axum), Some(actix))
        } else {
            tokio::join!(axum.send(&request, &bytes, cuts), actix.send(&request, &bytes, cuts))
        };
        match answers {
            (Some(one), Some(other)) if one == other => {
                told.push((one.status, one.header("circa-receiver-outcome").map(str::to_owned)));
            }
            (axum, actix) => {
                let protocol = if http2 { "as HTTP/2" } else { "sent" };
                let bytes = bytes.escape_ascii();
                return Err(format!(
                    "SEED={seed}, lane {lane}, {number}, {protocol}: {bytes}\naxum:  {axum:?}\nactix: {actix:?}"
                ));
            }
        }
    }
    Ok(told)
}

/// A connection that is kept for as long as the server keeps it.
struct Line {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Line {
    fn to(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Sends the request's bytes in up to three pieces.
    async fn send(&mut self, request: &Request, bytes: &[u8], mut cuts: [usize; 2]) -> Option<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.address).await.unwrap(),
        };
        stream.set_nodelay(true).unwrap();
        cuts.sort();
        for piece in [&bytes[..cuts[0]], &bytes[cuts[0]..cuts[1]], &bytes[cuts[1]..]] {
            // The server may have refused and closed before it has read everything: the answer
            // counts, not the write.
            let _ = stream.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let answer = read_answer_to(request.method_name(), &mut stream).await?;
        if answer.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        Some(answer)
    }
}

/// The same handlers have run, and the same reasons were logged as often.
fn assert_alike(axum: Ended, actix: Ended) {
    let runs = |ended: &Ended| {
        let mut runs = ended.stdout.clone();
        runs.sort();
        runs
    };
    let reasons = |ended: &Ended| {
        let mut reasons = BTreeMap::new();
        // Without the lines that count strangers, once a second.
        let lines = ended.stderr.iter().filter(|line| !line.contains(" count="));
        for (_, reason) in lines.filter_map(|line| line.split_once("reason=\"")) {
            *reasons.entry(reason.split('"').next().unwrap().to_owned()).or_insert(0) += 1;
        }
        reasons
    };
    assert_eq!((axum.code, actix.code), (Some(0), Some(0)));
    assert_eq!(runs(&axum), runs(&actix));
    assert_eq!(reasons(&axum), reasons(&actix));
    println!("{:?}", reasons(&axum));
}
