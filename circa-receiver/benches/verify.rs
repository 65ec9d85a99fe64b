//! Verification of one Circa delivery beside its floor and beside a bare pre-keyed HMAC: `cargo bench -p circa-receiver --bench verify`.
//!
//! Exits non-zero where a promised ratio or allocation count is missed. Beside other libraries: `comparison/`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::incompatible_msrv)]

mod measure;

use std::{process::ExitCode, time::Duration};

use measure::{
    promise::judge,
    rounds::compare,
    verification::{SIZES, Signed, flood, promises, rows, table},
};

/// Of the measurement at one size.
const BUDGET: Duration = Duration::from_millis(1_500);

fn main() -> ExitCode {
    let mut table = table("Verification of one delivery; ratios to the floor");
    let mut promised = Vec::new();
    for (bytes, limit) in SIZES {
        let measured = compare(&Signed::new(bytes).candidates(), BUDGET);
        rows(&mut table, bytes, &measured);
        promised.extend(promises(bytes, limit, &measured));
    }
    table.print();
    promised.push(flood(BUDGET));
    judge(&promised)
}
