//! What strangers send does not stay in memory, and takes no more of it than the limits allow.
//!
//! Memory is what the kernel counts for a reference receiver's process.

use std::{fs, io::Write, sync::Arc};

use crate::support::{
    Answer, CIRCA_SECRET, CIRCULARO_SECRET, Process, REFERENCES, Request, circa, event, event_of_size, forged, turn,
};
use flate2::{Compression, write::GzEncoder};
use tokio::{sync::Semaphore, task::JoinSet};

const MIB: usize = 1_024 * 1_024;

/// Secrets, and settings by which glibc gives large blocks back at once. With its defaults it keeps
/// some of what was freed, more with every thread that happens to serve, and the figures would be
/// its own. Other allocators do not look at them.
const GIVES_BACK: [(&str, &str); 4] = [
    ("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET),
    ("CIRCULARO_HMAC_SECRET", CIRCULARO_SECRET),
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
];

/// A figure of the process's memory, in MiB: `VmRSS` is what it has now, `VmHWM` the most that it
/// ever had.
fn memory(process: &Process, figure: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':')?.strip_suffix("kB"));
    kib.expect(figure).trim().parse::<f64>().unwrap() / 1_024.0
}

/// Sends a request so many times, so many of them at once.
async fn send_many(process: &Process, request: &Request, times: usize, at_once: usize) -> Vec<Answer> {
    let places = Arc::new(Semaphore::new(at_once));
    let mut senders = JoinSet::new();
    for _ in 0..times {
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let (request, address) = (request.clone(), process.address);
        senders.spawn(async move {
            let answer = request.send(address).await;
            drop((request, place));
            answer
        });
    }
    senders.join_all().await
}

/// Contract, section 1, checks 5 and 6: what bodies take is bounded by the places in flight
/// (default 256) times the body limit (default 1 MiB).
#[tokio::test(flavor = "multi_thread")]
async fn after_a_thousand_forged_bodies_of_1_mib() {
    let _turn = turn::alone().await;
    let request = forged(&event_of_size("evt_1", MIB));
    // By the allocator's own settings the process stays within the bound; by the others, what it
    // holds afterwards is what it held before, and 64 bodies never take more than 64 places of
    // twice the limit: a body that grows is moved to a larger place.
    let cases = [("as it is", 2, 256.0, 256.0), ("given back", 4, 8.0, 128.0)];
    for (name, settings, most_growth, most_at_once) in cases {
        for reference in &REFERENCES {
            let process = reference.start_with(&GIVES_BACK[..settings]).await;
            let base = memory(&process, "VmRSS");
            let mut after = Vec::new();
            for _ in 0..2 {
                let answers = send_many(&process, &request, 1_000, 64).await;
                assert!(answers.iter().all(|answer| answer.status == 401), "{} {name}", reference.name);
                after.push(memory(&process, "VmRSS"));
            }
            let peak = memory(&process, "VmHWM");
            let figures = format!(
                "{} {name}: {base:.1} MiB at rest, {after:.1?} after each flood, {peak:.1} at the peak",
                reference.name
            );
            println!("{figures}");
            assert!(after[1] <= after[0] + most_growth, "{figures}");
            assert!(peak <= base + most_at_once + 32.0, "{figures}");
            assert_eq!(circa(event("evt_1")).send(process.address).await.told(), (200, Some("handled")), "{figures}");
        }
    }
}

/// Contract, section 1, check 2: "`Content-Encoding` absent or `identity`"; section 2: "The MAC is
/// over the raw bytes as received, before any decoding".
#[tokio::test(flavor = "multi_thread")]
async fn after_gzip_bombs_and_floods_of_headers() {
    let _turn = turn::alone().await;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 64 * MIB]).unwrap();
    let bomb = circa(bomb.finish().unwrap());
    let cases = [
        ("a bomb that says so", bomb.clone().header("Content-Encoding", "gzip"), 415),
        ("a bomb in chunks", bomb.clone().header("Content-Encoding", "gzip").chunked(1_000), 415),
        ("a bomb that does not say so", bomb, 400),
        ("a header of 1 MiB", circa(event("evt_1")).header("X-Long", "x".repeat(MIB)), 431),
    ];
    for (name, request, status) in cases {
        for reference in &REFERENCES {
            let process = reference.start_with(&GIVES_BACK).await;
            let mut peaks = Vec::new();
            for _ in 0..2 {
                let answers = send_many(&process, &request, 100, 8).await;
                assert!(answers.iter().all(|answer| answer.status == status), "{} {name}: {answers:?}", reference.name);
                peaks.push(memory(&process, "VmHWM"));
            }
            println!("{} {name}: peaks of {peaks:.1?} MiB", reference.name);
            // One body that was unpacked would take 64.
            assert!(peaks[0] < 48.0 && peaks[1] < peaks[0] + 8.0, "{} {name}: {peaks:?}", reference.name);
        }
    }
}
