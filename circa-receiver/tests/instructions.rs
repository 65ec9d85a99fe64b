//! A program of its own: it builds an optimised program and runs it under callgrind, for minutes,
//! which must not delay the other tests.
//!
//! Instructions per delivery, part by part, do not rise: guarded by count, which does not depend on
//! the clock.
//!
//! Runs `benches/instructions.rs`, optimised, under callgrind, and compares with
//! `instructions.txt`. After a change that is meant to cost more or less, or of a dependency,
//! record it anew:
//!
//! ```text
//! RECORD=1 cargo test -p circa-receiver --test instructions -- --nocapture
//! ```
//!
//! Counts hold for one compiler and one kind of processor. With others it says so and compares
//! nothing; so too without valgrind.
#![cfg(all(feature = "receiver", target_os = "linux"))]
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::BTreeMap, fmt::Write as _, fs, process::Command};

/// How far above its baseline a count may be.
const SLACK: f64 = 0.03;
/// The lengths of the two runs whose difference is counted.
const FEW: u64 = 50;
const MANY: u64 = 550;
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instructions.txt");

/// What is compared, by name: the runs of one part of the program less those of another. Hashing is
/// subtracted, because callgrind knows no SHA instructions.
const COUNTS: [(&str, &str, Option<&str>); 7] = [
    ("signature header", "header", None),
    ("verification beside its HMAC", "verify", Some("hmac")),
    ("envelope", "envelope", Some("verify")),
    ("typed event", "typed", Some("envelope")),
    ("claim and complete", "claim", None),
    ("route among 100 types", "route", None),
    ("whole pipeline beside its HMAC", "pipeline", Some("hmac")),
];

#[test]
fn no_part_of_a_delivery_takes_more_instructions_than_recorded() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("NOT COMPARED: valgrind is not installed (`apt-get install valgrind`)");
        return;
    }
    let machine = machine();
    let recorded = fs::read_to_string(BASELINE).unwrap_or_default();
    let record = std::env::var_os("RECORD").is_some();
    let recorded_on = recorded.lines().next().unwrap_or("nothing");
    if !record && recorded_on != machine {
        println!("NOT COMPARED: recorded on {recorded_on}, this is {machine}");
        return;
    }
    let counts = counts(&program());
    if record {
        let lines = counts.iter().fold(machine + "\n", |mut lines, (name, count)| {
            let _ = writeln!(lines, "{name}: {count}");
            lines
        });
        print!("{lines}");
        return fs::write(BASELINE, lines).unwrap();
    }
    let baseline: BTreeMap<&str, f64> = recorded
        .lines()
        .skip(1)
        .map(|line| line.split_once(": ").unwrap())
        .map(|(n, c)| (n, c.parse().unwrap()))
        .collect();
    let mut risen = Vec::new();
    for (name, count) in &counts {
        let before = baseline.get(name).copied().unwrap_or(0.0);
        println!("{name}: {count}, recorded {before}");
        // One instruction more or less in a part of a hundred is rounding.
        if *count as f64 > before * (1.0 + SLACK) + 1.0 {
            risen.push(format!("{name}: {before} -> {count}"));
        }
    }
    assert!(
        risen.is_empty(),
        "more instructions than recorded: {risen:?}; if it is meant so, see the head of this file"
    );
}

/// Builds the program, optimised, and gives its path.
fn program() -> String {
    let output = Command::new(env!("CARGO"))
        .args(["bench", "-p", "circa-receiver", "--bench", "instructions", "--no-run", "--message-format=json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let executable =
        |line| serde_json::from_str::<serde_json::Value>(line).ok()?["executable"].as_str().map(str::to_owned);
    messages.lines().rev().find_map(executable).unwrap()
}

/// Instructions of each part, per delivery.
fn counts(program: &str) -> Vec<(&'static str, i64)> {
    let mut parts: BTreeMap<&str, i64> = BTreeMap::new();
    let mut of = |part| *parts.entry(part).or_insert_with(|| per_time(program, part));
    COUNTS.map(|(name, part, less)| (name, of(part) - less.map_or(0, &mut of))).to_vec()
}

/// The lowest of three: hash maps are seeded anew in each run, and tidy up by the clock.
fn per_time(program: &str, part: &str) -> i64 {
    let count = || {
        let [few, many] = [FEW, MANY].map(|times| instructions(program, part, times));
        ((many - few) as f64 / (MANY - FEW) as f64).round() as i64
    };
    (0..3).map(|_| count()).min().unwrap()
}

fn instructions(program: &str, part: &str, times: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", program, part, &times.to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{part}: {said}");
    let collected =
        said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim().parse());
    collected.unwrap().unwrap()
}

/// What counts depend on beside the sources: the compiler, and the instructions that `memcpy` and
/// `memchr` choose by.
fn machine() -> String {
    let rustc =
        Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned())).arg("--version").output().unwrap();
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = ["avx2", "erms", "fsrm"].into_iter().filter(|flag| cpu.contains(&format!(" {flag} ")));
    let flags: Vec<&str> = flags.collect();
    let version = String::from_utf8(rustc.stdout).unwrap();
    format!("{}, {} with {}", version.trim(), std::env::consts::ARCH, flags.join(" "))
}
