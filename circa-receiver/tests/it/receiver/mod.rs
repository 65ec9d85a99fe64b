//! The receiver: one delivery, from its head to its answer.

mod configuration;
mod diagnosing;
mod dropped_anywhere;
mod handlers;
mod order_of_checks;
mod shutdown;
mod store_trouble;
mod vectors;
