//! A subscriber that panics in the spans: no answer changes by it, and no event is lost.

use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use circa_receiver::{HandlerError, PortableHandler, Routes, TracingObserver};
use tracing::{Subscriber, span};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

use crate::support::receiving::{
    ACCEPTED, DUPLICATE, Endpoint, HANDLED, Request, ScriptedInbox, answer, circa, routes, seconds,
};

/// Where a subscriber panics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    NewSpan,
    Record,
    Enter,
    Exit,
    Close,
}

const EVERYWHERE: [At; 5] = [At::NewSpan, At::Record, At::Enter, At::Exit, At::Close];

/// Panics at one place in all spans of the receiver, and counts how often.
#[derive(Clone)]
struct Panicking {
    at: At,
    times: Arc<AtomicUsize>,
}

impl Panicking {
    fn here(&self, at: At, target: Option<&str>) {
        if self.at == at && target == Some("circa_receiver") {
            self.times.fetch_add(1, Ordering::SeqCst);
            // Without the message of a panic in the output of the tests.
            resume_unwind(Box::new("on purpose"));
        }
    }
}

fn target<S: Subscriber + for<'a> LookupSpan<'a>>(context: &Context<'_, S>, id: &span::Id) -> Option<&'static str> {
    context.metadata(id).map(tracing::Metadata::target)
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Panicking {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        self.here(At::NewSpan, Some(attributes.metadata().target()));
    }

    fn on_record(&self, id: &span::Id, _: &span::Record<'_>, context: Context<'_, S>) {
        self.here(At::Record, target(&context, id));
    }

    fn on_enter(&self, id: &span::Id, context: Context<'_, S>) {
        self.here(At::Enter, target(&context, id));
    }

    fn on_exit(&self, id: &span::Id, context: Context<'_, S>) {
        self.here(At::Exit, target(&context, id));
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        self.here(At::Close, target(&context, &id));
    }
}

/// Counts its runs. It waits, so that its spans are entered more than once.
fn counting(runs: &Arc<AtomicUsize>) -> Routes<PortableHandler<()>> {
    let runs = Arc::clone(runs);
    routes(move |_| {
        let runs = Arc::clone(&runs);
        async move {
            tokio::time::sleep(seconds(1)).await;
            runs.fetch_add(1, Ordering::SeqCst);
            Ok::<(), HandlerError>(())
        }
    })
}

/// Contract, section 1: a logger that panics "changes no answer and loses no event (a panic is
/// caught and counted)".
#[tokio::test(start_paused = true)]
async fn a_subscriber_that_panics_changes_no_answer() {
    for at in EVERYWHERE {
        let (panicking, runs) = (Panicking { at, times: Arc::default() }, Arc::new(AtomicUsize::new(0)));
        let before = TracingObserver::span_panics();
        {
            let subscriber = tracing_subscriber::registry().with(panicking.clone());
            let _guard = tracing::subscriber::set_default(subscriber);
            let endpoint = Endpoint::new(circa(), counting(&runs));
            let request = Request::circa("evt_1");
            assert_eq!(answer(&endpoint.deliver(&request).await), HANDLED, "{at:?}");
            assert_eq!(answer(&endpoint.deliver(&request).await), DUPLICATE, "{at:?}");
            assert!(tracing::Span::current().is_none(), "{at:?}: all spans have ended");
        }
        let times = panicking.times.load(Ordering::SeqCst);
        assert_eq!(runs.load(Ordering::SeqCst), 1, "{at:?}");
        assert!(times > 0, "{at:?}: there was no panic");
        assert!(TracingObserver::span_panics() - before >= times as u64, "{at:?}: counted");
    }
}

/// As above, of the runs from an inbox.
#[tokio::test(start_paused = true)]
async fn a_subscriber_that_panics_loses_no_run() {
    for at in EVERYWHERE {
        let (panicking, runs) = (Panicking { at, times: Arc::default() }, Arc::new(AtomicUsize::new(0)));
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(panicking.clone()));
        let endpoint = Endpoint::new(circa().inbox(ScriptedInbox::new()), counting(&runs));
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), ACCEPTED, "{at:?}");
        let worker = endpoint.receiver.worker(counting(&runs), ()).unwrap().build().unwrap();
        assert_eq!(worker.drain().await.unwrap(), 1, "{at:?}");
        assert_eq!(runs.load(Ordering::SeqCst), 1, "{at:?}");
        assert!(panicking.times.load(Ordering::SeqCst) > 0, "{at:?}: there was no panic");
    }
}

/// A handler that is dropped at its time limit still writes inside its spans while it is dropped.
#[tokio::test(start_paused = true)]
async fn what_is_dropped_is_dropped_inside_its_spans() {
    /// The name of the span that it was dropped in.
    struct Dropped(Arc<std::sync::Mutex<Option<&'static str>>>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = tracing::Span::current().metadata().map(tracing::Metadata::name);
        }
    }

    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
    let seen = Arc::default();
    let noted = Arc::clone(&seen);
    let handlers = routes(move |_| {
        let dropped = Dropped(Arc::clone(&noted));
        async move {
            let _dropped = dropped;
            std::future::pending().await
        }
    });
    let endpoint = Endpoint::new(circa().run_timeout(seconds(1)), handlers);
    assert_eq!(endpoint.deliver(&Request::circa("evt_1")).await.status(), 500);
    assert_eq!(*seen.lock().unwrap(), Some("webhook_handler"));
}
