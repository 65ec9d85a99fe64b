//! Parsing, and the whole pipeline in memory, beside verification's floor and a direct typed parse: `cargo bench -p circa-receiver --bench pipeline`.
//!
//! Exits non-zero where a promised ratio or allocation count is missed.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::incompatible_msrv)]

mod measure;

use std::{process::ExitCode, time::Duration};

use measure::{parsing, pipeline, promise::judge};

/// Of one table at one size.
const BUDGET: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let mut promises = Vec::new();
    let tables =
        [parsing::run(&[300, 4_096, 65_536], BUDGET), pipeline::run(300, BUDGET), pipeline::run(4_096, BUDGET)];
    for (table, promised) in tables {
        table.print();
        promises.extend(promised);
    }
    // At 4 KiB nothing is promised: most of it is decoding the ids.
    promises.retain(|promise| !promise.what.starts_with("pipeline at 4 KiB"));
    judge(&promises)
}
