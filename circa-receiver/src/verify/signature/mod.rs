//! The signature headers: parsed once, in place, nothing allocated.
//!
//! What is malformed is refused before one byte of the body is polled.
//!
//! 1. `parse`: exactly one header, within its length; `circa`, `circularo`: the two grammars;
//! 2. `offered`: what a well-formed header says.

mod circa;
mod circularo;
mod offered;
mod parse;

pub(crate) use offered::{Signature, SignedAt};
