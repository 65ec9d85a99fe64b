//! Events: the envelope of a signed body, and the types of its data.

mod envelope;
mod properties;
mod typed_events;
