//! Replays the fuzz targets' corpora, so that every `cargo test` runs what the fuzzers run; finds
//! of theirs are added as files.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use circa_receiver_test_support::fuzz;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = fs::read(&path).unwrap();
        if std::panic::catch_unwind(|| run(&input)).is_err() {
            panic!("{} fails, see above", path.display());
        }
        replayed += 1;
    }
    assert!(replayed >= 15, "{replayed} files in {}", folder.display());
}

#[test]
fn header() {
    replay("header", fuzz::header);
}

#[test]
fn body() {
    replay("body", fuzz::body);
}

#[test]
fn delivery() {
    replay("delivery", fuzz::delivery);
}

#[test]
fn envelope() {
    replay("body", fuzz::envelope);
}

/// So many bodies without a wish for more.
const BODIES: usize = 30_000;

const NAMES: [&str; 12] = [
    r#""id""#,
    r#""type""#,
    r#""created""#,
    r#""livemode""#,
    r#""teamId""#,
    r#""data""#,
    r#""event""#,
    r#""documentId""#,
    r#""actor""#,
    r#""timestamp""#,
    r#""i\u0064""#,
    r#""more""#,
];

/// What an envelope's fields hold, and what is nearly so.
const VALUES: [&str; 26] = [
    "1747000800",
    "1747000800.0",
    "1.7470008e9",
    "-0",
    "0.5",
    "9007199254740993.0",
    "9223372036854775808",
    "-1e300",
    "1e400",
    "null",
    "true",
    "false",
    r#""""#,
    r#""evt_1""#,
    r#""a b""#,
    r#""datapoint.pulled""#,
    r#""\u00e9""#,
    r#""\ud83d\ude00""#,
    r#""\ud83d""#,
    r#""\u0061bc""#,
    "{}",
    "[]",
    r#"{"a":1,"a":2}"#,
    "[[[]]]",
    "tru",
    "",
];

/// Bodies of a sender's fields, and the corpus, both mutated: the envelope and an independent
/// reading agree. `FUZZ_SECONDS` goes on for as long.
#[test]
fn envelope_of_mutated_bodies() {
    let seconds = std::env::var("FUZZ_SECONDS").map_or(0, |seconds| seconds.parse().expect("FUZZ_SECONDS is a number"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/body");
    let mut corpus: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    corpus.sort();
    let (mut state, started, mut run) = (0x9e37_79b9_7f4a_7c15_u64, Instant::now(), 0);
    let mut below = move |limit: usize| {
        // xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % limit.max(1) as u64).unwrap()
    };
    while run < BODIES || started.elapsed() < Duration::from_secs(seconds) {
        run += 1;
        let mut body = if run % 4 == 0 {
            corpus[below(corpus.len())].clone()
        } else {
            let members: Vec<_> =
                (0..below(8)).map(|_| [NAMES[below(NAMES.len())], VALUES[below(VALUES.len())]].join(":")).collect();
            format!("{{{}}}", members.join(",")).into_bytes()
        };
        for _ in 0..below(4) * usize::from(run % 3 == 0) {
            let at = below(body.len() + 1);
            match below(3) {
                0 => _ = body.splice(at..at, VALUES[below(VALUES.len())].bytes()),
                1 => body.truncate(at),
                _ => body.iter_mut().skip(at).take(1).for_each(|byte| *byte = below(128) as u8),
            }
        }
        if std::panic::catch_unwind(|| fuzz::envelope(&body)).is_err() {
            panic!("after {run} bodies: {:?}", String::from_utf8_lossy(&body));
        }
    }
    println!("{run} bodies");
}
