//! Everything about speed, beside the floor and beside other libraries: `cargo run --release -- all`, or parts by their names.
//!
//! Results go to `docs/performance` as JSON and as charts, and into the tables of `docs/performance.md`. Exits non-zero where a promise is missed.
#![allow(missing_docs)]

#[path = "../../measure/mod.rs"]
mod measure;

mod chart;
mod dedup;
mod http;
mod in_process;
mod page;
mod part;
mod peers;
mod refusals;

use std::{process::ExitCode, time::Duration};

use measure::{parsing, pipeline, promise::judge};
use part::Part;

/// Runs a part.
type Run = fn() -> Part;

/// All parts, in the page's order.
const PARTS: [(&str, Run); 9] = [
    ("verification", peers::run),
    ("pipeline", pipeline_and_parsing),
    ("in-process", in_process::run),
    ("http", over_http),
    ("http-rungs", rungs),
    ("dedup", dedup::run),
    ("routing", dedup::routing),
    ("floods", refusals::run),
    ("floods-of-signatures", peers::floods),
];

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let known = |name: &String| name == "all" || name == "page" || PARTS.iter().any(|(part, _)| part == name);
    if asked.is_empty() || !asked.iter().all(known) {
        println!("usage: cargo run --release -- all | page | <part>...");
        PARTS.iter().for_each(|(part, _)| println!("  {part}"));
        return ExitCode::FAILURE;
    }
    let mut promises = Vec::new();
    for (_, run) in PARTS.iter().filter(|(part, _)| asked.iter().any(|name| name == "all" || name == part)) {
        let part = run();
        part.keep();
        promises.extend(part.promises);
    }
    let kept: Vec<Part> = PARTS.iter().filter_map(|(name, _)| Part::kept(name)).collect();
    page::write(&kept);
    judge(&promises)
}

fn pipeline_and_parsing() -> Part {
    let budget = Duration::from_secs(3);
    let mut part = Part::new("pipeline")
        .with(parsing::run(&[300, 4_096, 65_536], budget))
        .with(pipeline::run(300, budget))
        .with(pipeline::run(4_096, budget));
    part.promises.retain(|promise| !promise.what.starts_with("pipeline at 4 KiB"));
    part
}

fn over_http() -> Part {
    Part::new("http").with(http::run(5, 2))
}

fn rungs() -> Part {
    Part::new("http-rungs").with(http::rungs(5, 2))
}
