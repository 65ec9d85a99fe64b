//! The documented schedule, kept to the second.

use std::{cell::RefCell, future::pending, time::Duration};

use circa_receiver::testing::{Answer, Disabling, HandlerRuns};
use tokio::time::sleep;

use super::{Always, failure, simulator};

fn seconds(seconds: &[u64]) -> Vec<Duration> {
    seconds.iter().copied().map(Duration::from_secs).collect()
}

/// Circa documentation, Webhooks: retries after 30 s, 2 m, 10 m, 1 h, 6 h, 24 h, then dropped: 7
/// attempts over 112,350 s.
#[tokio::test(start_paused = true)]
async fn failures_are_retried_on_the_documented_schedule() {
    let runs = HandlerRuns::default();
    let refuses = Always(|| async { Some(Answer::new(500, [], "")) });
    let ledger = simulator().count(1).run(refuses, &runs).await;
    assert_eq!(ledger.attempted_at("evt_0"), seconds(&[0, 30, 150, 750, 4_350, 25_950, 112_350]));
    assert!(ledger.was_dropped("evt_0") && !ledger.was_disabled());

    let accepts = Always(|| async { Some(Answer::new(204, [], "")) });
    let ledger = simulator().count(1).run(accepts, &runs).await;
    assert_eq!(ledger.attempted_at("evt_0"), seconds(&[0]));
}

/// Circa documentation, Webhooks: answer 2xx within 15 s.
#[tokio::test(start_paused = true)]
async fn an_answer_is_waited_for_15_seconds() {
    let runs = HandlerRuns::default();
    let silent = simulator().count(1).run(Always(pending), &runs).await;
    assert_eq!(silent.attempted_at("evt_0"), seconds(&[0, 45, 180, 795, 4_410, 26_025, 112_440]));
    for (millis, attempts) in [(14_999, 1), (15_001, 7)] {
        let slow = Always(|| async move {
            sleep(Duration::from_millis(millis)).await;
            Some(Answer::new(200, [], ""))
        });
        assert_eq!(simulator().count(1).run(slow, &runs).await.attempts("evt_0"), attempts, "{millis} ms");
    }
}

/// Circa documentation, Webhooks: after 20 failures in a row the endpoint is disabled.
#[tokio::test(start_paused = true)]
async fn twenty_failures_in_a_row_disable_the_endpoint() {
    let refuses = || Always(|| async { Some(Answer::new(500, [], "")) });
    let cases = [
        (Disabling::Attempts, 2, false),
        (Disabling::Attempts, 3, true),
        (Disabling::Events, 19, false),
        (Disabling::Events, 20, true),
    ];
    for (disabling, events, disabled) in cases {
        let ledger = simulator().count(events).disabling(disabling).run(refuses(), &HandlerRuns::default()).await;
        assert_eq!(ledger.was_disabled(), disabled, "{disabling:?}, {events} events");
        let attempts: usize = (0..events).map(|n| ledger.attempts(&format!("evt_{n}"))).sum();
        let expected = match (disabling, disabled) {
            (Disabling::Attempts, true) => 20,
            (Disabling::Events, true) => 20,
            (_, _) => 7 * events,
        };
        assert_eq!(attempts, expected, "{disabling:?}, {events} events");
    }

    // A success in between begins the count anew.
    let answers = RefCell::new(0);
    let now_and_then = Always(|| {
        *answers.borrow_mut() += 1;
        let status = if *answers.borrow() % 20 == 0 { 200 } else { 500 };
        async move { Some(Answer::new(status, [], "")) }
    });
    let ledger = simulator().count(10).run(now_and_then, &HandlerRuns::default()).await;
    assert!(!ledger.was_disabled());
}

#[tokio::test]
#[should_panic(expected = "tokio's time is not paused")]
async fn a_schedule_of_32_hours_is_not_begun_in_real_time() {
    let _ = simulator().run(Always(pending), &HandlerRuns::default()).await;
}

/// An endpoint that was disabled is told by its assertion.
#[tokio::test(start_paused = true)]
async fn a_disabled_endpoint_is_told() {
    let refuses = Always(|| async { Some(Answer::new(500, [], "")) });
    let ledger = simulator().run(refuses, &HandlerRuns::default()).await;
    let said = failure(|| ledger.assert_enabled()).unwrap();
    assert!(said.contains("/webhooks/circa was disabled") && said.contains("500"), "{said}");
}
