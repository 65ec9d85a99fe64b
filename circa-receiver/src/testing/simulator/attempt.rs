//! One attempt of Circa: a delivery, what goes wrong with it, and whether its answer is a success.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use http::Request;
use tokio::time::{error::Elapsed, timeout};

use super::{Answer, SimulatedBody, Target, faults::Fault};
use crate::testing::Fixture;

/// How long Circa waits for an answer: 15 s (Circa documentation, Webhooks).
pub const SENDER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a slow body takes, in so many parts.
const SLOW_BODY: (Duration, usize) = (Duration::from_secs(4), 5);

/// What an attempt came to.
pub(super) struct Attempted {
    pub(super) success: bool,
    pub(super) answer: String,
}

/// Delivers an event once, with this fault.
pub(super) async fn attempt(
    target: &impl Target,
    event: &Fixture,
    fault: Option<Fault>,
    request: impl Fn(SimulatedBody) -> Request<SimulatedBody>,
) -> Attempted {
    let body = event.body().to_owned();
    let body = match fault {
        Some(Fault::SlowBody) => SimulatedBody::slow(body, SLOW_BODY.1, SLOW_BODY.0),
        _ => SimulatedBody::whole(body),
    };
    let first = timeout(SENDER_TIMEOUT, target.deliver(request(body)));
    match fault {
        Some(Fault::TwiceAtOnce) => {
            let body = SimulatedBody::whole(event.body().to_owned());
            let second = timeout(SENDER_TIMEOUT, target.deliver(request(body)));
            let (first, second) = tokio::join!(first, second);
            let (first, second) = (judge(first), judge(second));
            Attempted {
                success: first.success || second.success,
                answer: format!("{} and {}", first.answer, second.answer),
            }
        }
        Some(Fault::AnswerLost) => Attempted { success: false, ..judge(first.await) },
        Some(Fault::HangUp { polls, after }) => match timeout(after, at_most(polls, first)).await {
            Ok(Some(answer)) => judge(answer),
            Ok(None) | Err(_) => Attempted { success: false, answer: "none: the sender hung up".to_owned() },
        },
        _ => judge(first.await),
    }
}

fn judge(answer: Result<Option<Answer>, Elapsed>) -> Attempted {
    match answer {
        Err(_) => Attempted { success: false, answer: "none in 15 s".to_owned() },
        Ok(None) => Attempted { success: false, answer: "none: the connection ended".to_owned() },
        Ok(Some(answer)) => Attempted {
            success: answer.is_success(),
            answer: format!("{} {}", answer.status(), answer.outcome().unwrap_or_default()).trim_end().to_owned(),
        },
    }
}

/// Polls a future so often at most; `None` where it had not ended by then.
async fn at_most<F: Future>(polls: u64, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|cx| {
        polled += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polled >= polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
