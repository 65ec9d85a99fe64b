//! The adapter in an application: one program, one module for each behaviour, with the names that the
//! other adapter's have.
#![allow(clippy::unwrap_used)]

mod diagnoses;
mod mounts_in_an_app;
mod over_http;
mod runs_from_the_inbox;
