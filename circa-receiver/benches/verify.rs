//! Verification of one delivery beside a bare pre-keyed HMAC over the same bytes.
//!
//! `cargo bench -p circa-receiver --bench verify`; beside other libraries: `comparison/`. It fails
//! where a goal of `docs/performance.md` is missed.
#![allow(missing_docs, clippy::unwrap_used)]

use std::process::ExitCode;

use circa_receiver_bench_support::{Delivery, Figures, Goal, Table, calls};

/// Bodies in bytes, and the goals for the ratio.
const SIZES: [(&str, usize, Option<Goal>); 4] = [
    ("200 B", 200, None),
    ("300 B", 300, Some(Goal::AtMost(1.35))),
    ("4 KiB", 4_096, Some(Goal::AtMost(1.05))),
    ("1 MiB", 1 << 20, None),
];

fn main() -> ExitCode {
    let mut figures = Figures::new("verify", env!("CARGO_TARGET_TMPDIR"), 200, 3.0);
    let mut table = Table::new(&["one verification", "time, as a multiple of a bare HMAC's", "heap allocations"]);
    for (size, bytes, goal) in SIZES {
        let delivery = Delivery::filled(bytes);
        let verify = delivery.verification();
        let ratio = figures.ratio(size, calls(&verify), calls(delivery.hmac()));
        let allocations = allocation_counter::measure(|| assert!(verify())).count_total as f64;
        let cells = [table.cell(ratio, goal), table.cell(Some(allocations), Some(Goal::AtMost(0.0)))];
        table.row(size, &cells);
    }
    table.print()
}
