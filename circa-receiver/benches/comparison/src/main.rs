//! Everything about speed: `cargo run --release -- all`, or one part by its name.
#![allow(missing_docs)]

#[path = "../../measure/mod.rs"]
mod measure;

mod http;

use std::process::ExitCode;

fn main() -> ExitCode {
    let (table, promises) = http::run(3, 2);
    table.print();
    measure::promise::judge(&promises)
}
