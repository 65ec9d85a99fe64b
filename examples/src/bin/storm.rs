//! Proves that nothing is lost, nothing is stuck and every double has a reason, while receivers,
//! workers and their store are killed and frozen at random.
//!
//! `storm [--mode dedup|inbox] [--store sqlite|postgres|redis] [--seconds N | --events N] [--kills
//! N] [--seed S]`. The servers of PostgreSQL and Redis have to be installed; the program starts its
//! own. It prints what it did and what came of it, and fails where something was not as promised.

use std::process::ExitCode;

fn main() -> ExitCode {
    circa_receiver_examples::storm::main()
}
