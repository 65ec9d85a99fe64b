//! Handlers: how they end, and what the sender is told: contract, section 8.

mod dead_letters;
mod deadline;
mod ends;
mod routing;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use circa_receiver::{HandlerError, PortableHandler, Routes, testing::CircaSigner};
use tokio::time::Instant;

use crate::support::receiving::{NOW, Request, SECRET, routes};

/// Status and body.
type Answer = (u16, &'static str);

/// How a handler's run ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Success,
    Retryable,
    Permanent,
    Panic,
    PanicBeforeTheFirstAwait,
    PanicWithoutMessage,
}

/// Routes whose handler ends its runs like this, one after the other, and with success from then
/// on.
fn ending(ends: &[End]) -> (Routes<PortableHandler<()>>, Arc<AtomicUsize>) {
    let ends = Arc::new(Mutex::new(ends.iter().copied().collect::<VecDeque<_>>()));
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let routes = routes(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let end = ends.lock().unwrap().pop_front().unwrap_or(End::Success);
        if let End::PanicBeforeTheFirstAwait = end {
            panic!("at once");
        }
        async move {
            tokio::task::yield_now().await;
            match end {
                End::Success | End::PanicBeforeTheFirstAwait => Ok(()),
                End::Retryable => Err(HandlerError::retryable("the database is away")),
                End::Permanent => Err(HandlerError::permanent("no such material")),
                End::Panic => panic!("index {} out of bounds", 7),
                End::PanicWithoutMessage => std::panic::panic_any(7_u8),
            }
        }
    });
    (routes, runs)
}

/// The same event, signed for as long after `start` as it is now.
fn again(id: &str, start: Instant) -> Request {
    let at = NOW + i64::try_from(start.elapsed().as_secs()).unwrap();
    Request::circa(id).resigned(&CircaSigner::new(SECRET), at)
}
