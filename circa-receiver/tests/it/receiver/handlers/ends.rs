//! How a handler ends, and the answer to each end.

use std::sync::atomic::Ordering;

use circa_receiver::{
    HandlerError, Outcome,
    adapter::{Reception, handler_result, service_result},
};

use super::{Answer, End, ending};
use crate::support::receiving::{
    Body, DUPLICATE, Endpoint, FAILED, Gate, HANDLED, Request, answer, circa, header, routes,
};

/// Contract, section 8: success: 200 `handled`. Retryable error and panic: 500, released: the next
/// delivery runs again, then duplicate.
#[tokio::test]
async fn each_end_of_a_handler_has_its_answer_and_a_failed_run_is_run_again() {
    let cases: [(&str, &[End], &[Answer]); 7] = [
        ("success", &[End::Success], &[HANDLED, DUPLICATE]),
        ("retryable", &[End::Retryable], &[FAILED, HANDLED, DUPLICATE]),
        ("retryable twice", &[End::Retryable, End::Retryable], &[FAILED, FAILED, HANDLED, DUPLICATE]),
        ("panic", &[End::Panic], &[FAILED, HANDLED, DUPLICATE]),
        ("panic before the first await", &[End::PanicBeforeTheFirstAwait], &[FAILED, HANDLED, DUPLICATE]),
        ("panic without a message", &[End::PanicWithoutMessage], &[FAILED, HANDLED, DUPLICATE]),
        ("permanent, without a sink", &[End::Permanent, End::Permanent], &[FAILED, FAILED, HANDLED, DUPLICATE]),
    ];
    for (name, ends, expected) in cases {
        let (routes, runs) = ending(ends);
        let endpoint = Endpoint::new(circa(), routes);
        for (index, expected) in expected.iter().enumerate() {
            let response = endpoint.deliver(&Request::circa("evt_1")).await;
            assert_eq!(answer(&response), *expected, "{name}, delivery {index}");
            assert_eq!(header(&response, "retry-after"), None, "{name}, delivery {index}");
        }
        assert_eq!(runs.load(Ordering::SeqCst), expected.len() - 1, "{name}");
    }
}

/// As above: the observer is told the handler's own error, or of the panic; the sender is not.
#[tokio::test]
async fn the_observer_is_told_how_a_handler_failed() {
    let cases = [
        (End::Success, "handled"),
        (End::Retryable, "failed: the database is away"),
        (End::Permanent, "failed: no such material"),
        (End::Panic, "failed: the handler panicked: index 7 out of bounds"),
        (End::PanicBeforeTheFirstAwait, "failed: the handler panicked: at once"),
        (End::PanicWithoutMessage, "failed: the handler panicked: no message"),
    ];
    for (end, note) in cases {
        let endpoint = Endpoint::new(circa(), ending(&[end]).0);
        let _ = endpoint.deliver(&Request::circa("evt_1")).await;
        let expected = ["received circa", "authenticated evt_1 by #0", note];
        assert_eq!(endpoint.notes.all(), expected, "{end:?}");
    }
}

/// Contract, section 8: panic: the server lives; nothing of the receiver is poisoned by a hundred
/// of them at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_panics_at_once_leave_the_receiver_alive() {
    let (routes, _) = ending(&[End::Panic; 100]);
    let endpoint = Endpoint::new(circa(), routes);
    let waiting: Vec<_> = (0..100).map(|index| endpoint.spawn(&Request::circa(&format!("evt_{index}")))).collect();
    for response in waiting {
        assert_eq!(answer(&response.await.unwrap()), FAILED);
    }
    for index in 0..100 {
        assert_eq!(answer(&endpoint.deliver(&Request::circa(&format!("evt_{index}"))).await), HANDLED, "{index}");
    }
}

/// What a status of an HTTP-flavoured handler means: 2xx done, 4xx permanent except for those that
/// say "later", everything else retryable.
#[test]
fn the_status_of_a_handler_decides() {
    let permanent = |status| handler_result(status, None, None).err().map(|error| error.is_permanent());
    let of_service = |status| service_result(status, None).err().map(|error| error.is_permanent());
    for status in 100..600 {
        let expected = match status {
            200..=299 => None,
            408 | 423 | 425 | 429 => Some(false),
            400..=499 => Some(true),
            _ => Some(false),
        };
        assert_eq!(permanent(status), expected, "{status}");
        assert_eq!(of_service(status), (!(200..=299).contains(&status)).then_some(false), "{status} of a service");
    }
}

/// As above: the task alone is enough; nobody needs to poll the answer.
#[tokio::test]
async fn the_task_runs_though_nobody_waits_for_the_answer() {
    let endpoint = Endpoint::new(circa(), Gate::open().routes());
    let request = Request::circa("evt_1");
    let head = (request.method, &request.headers[..]);
    let body = Body::whole(request.body.clone());
    let Reception::Admitted(admitted, handler) = endpoint.receiver.receive(&head, body, &endpoint.routes).await else {
        panic!("not admitted")
    };
    assert_eq!(admitted.delivery().event().id(), "evt_1");
    let handler = handler.clone();
    let (task, unwanted) = admitted.run(move |delivery| handler.call(delivery, ()));
    drop(unwanted);
    assert_eq!(task.await, Outcome::Handled);
    assert_eq!(answer(&endpoint.deliver(&request).await), DUPLICATE);
}

/// A task that is stopped from outside has not handled the event: 500, never 2xx.
#[tokio::test]
async fn a_task_that_is_stopped_is_answered_500() {
    let endpoint = Endpoint::new(circa(), Gate::closed().routes());
    let request = Request::circa("evt_1");
    let head = (request.method, &request.headers[..]);
    let body = Body::whole(request.body.clone());
    let Reception::Admitted(admitted, _) = endpoint.receiver.receive(&head, body, &endpoint.routes).await else {
        panic!("not admitted")
    };
    let (task, stopped) = admitted.run(|_| std::future::pending());
    let task = tokio::spawn(task);
    task.abort();
    assert_eq!(answer(&stopped.wait_for(task).await), FAILED);
}

/// Each handler's future is polled in its own task: what it does there is its own.
#[tokio::test]
async fn a_handler_may_spawn_and_wait() {
    let endpoint = Endpoint::new(circa(), routes(|_| spawned()));
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
}

async fn spawned() -> Result<(), HandlerError> {
    tokio::spawn(async { tokio::task::yield_now().await }).await?;
    Ok(())
}
