//! What tests are written with.

mod events;
mod simulator;
