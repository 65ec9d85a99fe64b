//! Data that is decoded while the envelope is read, so that it is read once: the second reading took an eighth of a delivery's time at 4 KiB.

use std::{
    any::Any,
    sync::{Mutex, PoisonError},
};

/// Decodes the JSON value that a text begins with, and tells its length in bytes. `None` where it is not as its type wants it, which is for the handler's
/// own decoding to tell.
pub(crate) type Decode = fn(&str) -> Option<(Decoded, usize)>;

/// Data for whoever is first to ask for it as its type.
#[derive(Default)]
pub(crate) struct Decoded(Mutex<Option<Box<dyn Any + Send>>>);

impl Decoded {
    /// As [`Decode`].
    #[cfg(feature = "receiver")]
    pub(crate) fn decode<T: super::EventData>(json: &str) -> Option<(Self, usize)> {
        use std::panic::{AssertUnwindSafe, catch_unwind};

        let mut values = serde_json::Deserializer::from_str(json).into_iter::<T>();
        // What panics here panics in the handler's task too, and is told there.
        let data = catch_unwind(AssertUnwindSafe(|| values.next())).ok()??.ok()?;
        Some((Self(Mutex::new(Some(Box::new(data)))), values.byte_offset()))
    }

    pub(super) fn take<T: 'static>(&self) -> Option<T> {
        let mut decoded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let data = decoded.take_if(|data| data.is::<T>())?;
        data.downcast().ok().map(|data| *data)
    }
}
