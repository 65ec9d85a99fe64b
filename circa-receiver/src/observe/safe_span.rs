//! A span whose subscriber may panic: no answer changes by it, and no event is lost (contract,
//! section 1).

use std::{
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tracing::{Span, Value};

/// How many panics were caught. The subscriber belongs to the process, and so does their number.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// How many panics of the process's subscriber were caught.
pub(super) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// What a call of the subscriber returns; `None` where it panics.
pub(crate) fn catch<T>(call: impl FnOnce() -> T) -> Option<T> {
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
    pub(super) fn around<F: Future>(self, future: F) -> Inside<F> {
        Inside { future: Some(future), span: self }
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

pin_project! {
    /// A future that is polled and dropped inside a span.
    pub(super) struct Inside<F> {
        // Dropped by itself, so that the span is entered.
        #[pin]
        future: Option<F>,
        span: SafeSpan,
    }

    impl<F> PinnedDrop for Inside<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = Entered::new(&this.span.0);
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for Inside<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = Entered::new(&this.span.0);
        this.future.as_pin_mut().expect("it is there until dropped").poll(cx)
    }
}

/// Enters a span until dropped. It exits also where `enter` panicked, because the registry had
/// entered the span by then.
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
