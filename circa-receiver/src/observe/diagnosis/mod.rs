//! Why a signature matches no secret: proven by computing the MAC anew under each known mistake.
//!
//! 1. `mismatch`: the delivery and the secrets it is tried with; `trials`: the bound on what that
//!    costs;
//! 2. `secret_forms`, `time_forms`, `body_forms`: what may have been signed instead; `json`: a body
//!    written in another form;
//! 3. `finding`: what is found.

mod body_forms;
mod finding;
mod json;
mod mismatch;
mod secret_forms;
mod time_forms;
mod trials;

pub use finding::{Diagnosis, Origin, Rewriting, Side};
pub use mismatch::Mismatch;
