//! The adapter in an application: one program, one module for each behaviour, with the names that
//! the other adapter's have.
#![allow(clippy::unwrap_used)]

mod compile_errors;
mod connections;
mod diagnoses;
mod failures;
mod mounts_in_an_app;
mod tenants;
