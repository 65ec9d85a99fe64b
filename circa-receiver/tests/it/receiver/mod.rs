//! The receiver: one delivery, from its head to its answer.

mod configuration;
mod diagnosing;
mod dropped_anywhere;
mod handlers;
mod keeper;
mod order_of_checks;
mod receivers;
mod shutdown;
mod store_trouble;
mod tenant_look_ups;
mod tenants;
mod vectors;
