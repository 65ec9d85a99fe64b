//! A span whose subscriber may panic: no answer changes by it, and no event is lost (contract,
//! section 1).

use std::{
    future::{Future, poll_fn},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::atomic::{AtomicU64, Ordering},
};

use tracing::{Span, Value};

/// How many panics were caught. The subscriber belongs to the process, and so does their number.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// How many panics of the process's subscriber were caught in spans.
pub(super) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// What a call of the subscriber returns; `None` where it panics.
fn catch<T>(call: impl FnOnce() -> T) -> Option<T> {
    let returned = catch_unwind(AssertUnwindSafe(call)).ok();
    if returned.is_none() {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }
    returned
}

/// A span each of whose calls of the subscriber may panic.
pub(super) struct SafeSpan(Span);

impl SafeSpan {
    /// The span that `make` makes; one that is disabled where that panics.
    pub(super) fn new(make: impl FnOnce() -> Span) -> Self {
        Self(catch(make).unwrap_or_else(Span::none))
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.0.is_disabled()
    }

    pub(super) fn record(&self, field: &str, value: impl Value) {
        catch(|| self.0.record(field, value));
    }

    /// Polls the future inside this span, and drops it there.
    pub(super) async fn around<F: Future>(self, future: F) -> F::Output {
        let mut inside = Inside { span: &self.0, future: pin!(Some(future)) };
        poll_fn(|cx| inside.enter(|future| future.as_pin_mut().expect("it is there until dropped").poll(cx))).await
    }
}

impl Clone for SafeSpan {
    fn clone(&self) -> Self {
        Self::new(|| self.0.clone())
    }
}

impl Drop for SafeSpan {
    fn drop(&mut self) {
        let span = mem::replace(&mut self.0, Span::none());
        catch(|| drop(span));
    }
}

/// A future that is polled and dropped inside a span.
struct Inside<'a, F> {
    span: &'a Span,
    future: Pin<&'a mut Option<F>>,
}

impl<F> Inside<'_, F> {
    fn enter<T>(&mut self, work: impl FnOnce(Pin<&mut Option<F>>) -> T) -> T {
        let _entered = Entered::new(self.span);
        work(self.future.as_mut())
    }
}

impl<F> Drop for Inside<'_, F> {
    fn drop(&mut self) {
        self.enter(|mut future| future.set(None));
    }
}

/// In a span until dropped. It is left also where entering it panics: the registry entered it
/// before.
struct Entered<'a>(&'a Span);

impl<'a> Entered<'a> {
    fn new(span: &'a Span) -> Self {
        catch(|| span.with_subscriber(|(id, subscriber)| subscriber.enter(id)));
        Self(span)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        catch(|| self.0.with_subscriber(|(id, subscriber)| subscriber.exit(id)));
    }
}
