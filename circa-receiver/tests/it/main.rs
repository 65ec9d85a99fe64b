//! The core through its public API: one program whose modules mirror the folders of `src`.
//! `support` holds what they share.
#![allow(clippy::unwrap_used, missing_docs)]

mod catalogue;
#[cfg(feature = "receiver")]
mod dedup;
mod event;
#[cfg(feature = "receiver")]
mod inbox;
mod layout;
#[cfg(feature = "receiver")]
mod observe;
#[cfg(feature = "receiver")]
mod receiver;
#[cfg(feature = "receiver")]
mod secrecy;
#[cfg(feature = "serve")]
mod serving;
mod support;
#[cfg(feature = "receiver")]
mod testing;
#[cfg(feature = "receiver")]
mod types;
mod verify;
