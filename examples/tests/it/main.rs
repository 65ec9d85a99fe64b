//! The examples as programs, over real sockets and with real servers: one program, one module for
//! each behaviour.
//!
//! Tests run in parallel. What loads the machine, and what judges a time, takes its turn first: see
//! `support::turn`.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod support;

mod adapters_are_twins;
mod alerts_fire;
mod answers_alike;
mod applications;
mod behind_proxies;
mod credits;
mod documentation;
mod envelope_drift;
mod handlers_over_real_sockets;
mod inbox;
#[cfg(target_os = "linux")]
mod memory_stays_flat;
mod minimal;
mod mismatches_are_diagnosed;
mod monitoring;
mod over_real_sockets;
mod quickstart;
mod serving;
mod slow_handlers_with_an_inbox;
mod sources;
mod store_frozen;
mod store_url;
mod storm;
mod survives_a_flood;
mod survives_kills;
mod testing_your_receiver_actix;
mod testing_your_receiver_axum;
mod two_replicas_one_store;
mod vectors_over_http;
