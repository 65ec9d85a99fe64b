//! What several modules share.

#[cfg(feature = "receiver")]
pub(crate) mod forbidden;
pub(crate) mod generated;
pub(crate) mod header;
pub(crate) mod json;
#[cfg(feature = "receiver")]
pub(crate) mod receiving;
pub(crate) mod vectors;
