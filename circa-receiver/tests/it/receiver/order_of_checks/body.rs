//! The checks of the body: its length, the time that it may take, and that it is whole.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Flaw::{AnnouncedTooLarge, BlankSignature, Encoding, Grammar, Mac, Method, NoSignature, TwoSignatures},
    LIMIT, circa_request, deliver, endpoint,
};
use crate::support::receiving::{
    Body, Endpoint, Gate, HANDLED, Request, Step, UNAUTHORIZED, answer, circa, circa_body, routes, seconds,
};

/// Contract, section 1: the grammar is checked "before one byte of the body is polled"; and no
/// check before the body's own polls it.
#[tokio::test(start_paused = true)]
async fn the_body_is_not_polled_before_its_own_checks() {
    for flaw in [Method, Encoding, NoSignature, BlankSignature, TwoSignatures, Grammar, AnnouncedTooLarge] {
        let endpoint = endpoint(circa(), &[flaw]);
        let (request, body) = circa_request(&[flaw]);
        let polls = body.polls();
        let _ = deliver(&endpoint, &[flaw], request, body).await;
        assert_eq!(polls.load(Ordering::SeqCst), 0, "{flaw:?}");
    }
    let (request, body) = circa_request(&[Mac]);
    let polls = body.polls();
    assert_eq!(answer(&endpoint(circa(), &[]).deliver_with(&request, body).await), UNAUTHORIZED);
    assert_ne!(polls.load(Ordering::SeqCst), 0, "a MAC cannot be checked without the body");
}

/// Contract, section 1: body within the limit, counted in bytes read, whatever was announced.
#[tokio::test]
async fn the_limit_is_inclusive_and_counts_the_bytes_read() {
    let padded = |len: usize| {
        let body = circa_body("evt_1");
        format!("{body}{}", " ".repeat(len - body.len()))
    };
    let too_large = (413, "payload too large");
    let cases = [
        ("at the limit", LIMIT, None, HANDLED),
        ("one byte more", LIMIT + 1, None, too_large),
        ("at the limit, announced", LIMIT, Some(LIMIT.to_string()), HANDLED),
        ("one byte more, announced as less: read as announced", LIMIT + 1, Some("10".to_owned()), UNAUTHORIZED),
        ("within the limit, announced as more", 300, Some((LIMIT + 1).to_string()), too_large),
        ("within the limit, announced as less: read as announced", 300, Some("10".to_owned()), UNAUTHORIZED),
        ("announced as the largest number", 300, Some(u64::MAX.to_string()), too_large),
        ("announced beyond any number", 300, Some(format!("{}0", u64::MAX)), too_large),
        ("announced within the limit, and cut short", 300, Some("301".to_owned()), (400, "bad request")),
        ("announced as no number", 300, Some("many".to_owned()), HANDLED),
    ];
    for (name, len, announced, expected) in cases {
        for chunk in [1, 7, LIMIT, 2 * LIMIT] {
            let endpoint = endpoint(circa(), &[]);
            let request = Request::signed(padded(len));
            let chunks: Vec<Step> =
                request.body.chunks(chunk).map(|chunk| Step::Chunk(Bytes::copy_from_slice(chunk))).collect();
            let request = match &announced {
                Some(length) => request.header("content-length", length),
                None => request,
            };
            let response = endpoint.deliver_with(&request, Body::new(chunks)).await;
            assert_eq!(answer(&response), expected, "{name}, in chunks of {chunk}");
        }
    }
}

/// Contract, section 1: default 1 MiB.
#[tokio::test]
async fn the_default_limit_is_one_mebibyte() {
    for (more, expected) in [(0, HANDLED), (1, (413, "payload too large"))] {
        let body = circa_body("evt_1");
        let body = format!("{body}{}", " ".repeat(1_048_576 + more - body.len()));
        let endpoint = Endpoint::new(circa(), Gate::open().routes());
        assert_eq!(answer(&endpoint.deliver(&Request::signed(body)).await), expected, "{more} more");
    }
}

/// An endless body is left as soon as it is too large.
#[tokio::test]
async fn a_body_that_is_too_large_is_read_no_further() {
    let endpoint = endpoint(circa(), &[]);
    let body = Body::new((0..1_000).map(|_| Step::Chunk(Bytes::from_static(&[b' '; 100]))));
    let polls = body.polls();
    let response = endpoint.deliver_with(&Request::circa("evt_1"), body).await;
    assert_eq!(answer(&response), (413, "payload too large"));
    assert_eq!(polls.load(Ordering::SeqCst), LIMIT / 100 + 1);
}

/// Contract, section 1: whole body within the read deadline (default 10 s in all, not per chunk).
#[tokio::test(start_paused = true)]
async fn the_read_deadline_is_for_the_whole_body() {
    let timeout = (408, "request timeout");
    let drip = |pause: Duration, count: u32| {
        let body = circa_body("evt_1");
        let (first, rest) = body.split_at(1);
        let mut steps = vec![Step::Chunk(first.to_owned().into())];
        steps.extend((0..count).map(|_| Step::Pause(pause)));
        steps.push(Step::Chunk(rest.to_owned().into()));
        Body::new(steps)
    };
    let cases = [
        ("in time", drip(seconds(9), 1), HANDLED, seconds(9)),
        ("just in time", drip(Duration::from_millis(9_999), 1), HANDLED, Duration::from_millis(9_999)),
        ("too late", drip(Duration::from_millis(10_001), 1), timeout, seconds(10)),
        ("stalled", Body::new([Step::Stall]), timeout, seconds(10)),
    ];
    for (name, body, expected, after) in cases {
        let endpoint = Endpoint::new(circa().ack_deadline(seconds(14)), Gate::open().routes());
        let start = Instant::now();
        assert_eq!(answer(&endpoint.deliver_with(&Request::circa("evt_1"), body).await), expected, "{name}");
        // Timers have a resolution of a millisecond.
        assert!(
            start.elapsed() >= after && start.elapsed() <= after + Duration::from_millis(2),
            "{name}: {:?}",
            start.elapsed()
        );
    }
}

/// As above: a chunk every second keeps no connection open for longer.
#[tokio::test(start_paused = true)]
async fn a_dripping_body_is_left_at_the_deadline() {
    let body = circa_body("evt_1");
    let steps = body
        .as_bytes()
        .iter()
        .flat_map(|byte| [Step::Pause(seconds(1)), Step::Chunk(Bytes::copy_from_slice(&[*byte]))]);
    let endpoint = Endpoint::new(circa().ack_deadline(seconds(14)), Gate::open().routes());
    let start = Instant::now();
    let response = endpoint.deliver_with(&Request::circa("evt_1"), Body::new(steps)).await;
    assert_eq!(answer(&response), (408, "request timeout"));
    assert!(start.elapsed() < seconds(11), "{:?}", start.elapsed());
}

/// Contract, section 1: no input makes the receiver hang. A stream that is always ready never lets
/// a timer speak.
#[tokio::test]
async fn a_body_of_empty_chunks_for_ever_is_left_at_the_deadline() {
    // Time cannot be paused here: nothing ever waits for it.
    let endpoint = Endpoint::new(circa().read_deadline(Duration::from_millis(20)), Gate::open().routes());
    let response = endpoint.deliver_with(&Request::circa("evt_1"), Body::new([Step::EmptyForEver])).await;
    assert_eq!(answer(&response), (408, "request timeout"));
}

/// Empty chunks between others are nothing.
#[tokio::test]
async fn empty_chunks_and_pauses_do_not_change_a_body() {
    let body = circa_body("evt_1");
    let bytes = body.as_bytes().iter().map(|byte| Bytes::copy_from_slice(&[*byte]));
    let steps = bytes.flat_map(|byte| [Step::Chunk(Bytes::new()), Step::Yield, Step::Chunk(byte)]);
    let endpoint = endpoint(circa(), &[]);
    assert_eq!(answer(&endpoint.deliver_with(&Request::circa("evt_1"), Body::new(steps)).await), HANDLED);
}

/// Contract, section 1: body arrived complete. What has arrived is not judged, though it is a whole
/// event.
#[tokio::test]
async fn an_incomplete_body_is_refused_though_what_arrived_is_a_whole_event() {
    let endpoint = endpoint(circa(), &[]);
    let body = Body::new([Step::Chunk(circa_body("evt_1").into()), Step::Fail]);
    assert_eq!(answer(&endpoint.deliver_with(&Request::circa("evt_1"), body).await), (400, "bad request"));
    assert_eq!(endpoint.notes.reason().as_deref(), Some("body_incomplete"));
}

/// Contract, section 2: the body is not copied to compute the MAC. A body of one chunk reaches the
/// handler as the chunk that arrived.
#[tokio::test]
async fn a_body_of_one_chunk_is_not_copied() {
    let seen = Arc::new(std::sync::Mutex::new(None));
    let endpoint = Endpoint::new(circa(), {
        let seen = Arc::clone(&seen);
        routes(move |event| {
            *seen.lock().unwrap() = Some(event.body().clone());
            std::future::ready(Ok(()))
        })
    });
    let request = Request::circa("evt_1");
    assert_eq!(answer(&endpoint.deliver(&request).await), HANDLED);
    let seen = seen.lock().unwrap().take().unwrap();
    assert_eq!(seen, request.body);
    assert_eq!(seen.as_ptr(), request.body.as_ptr());
}

/// Contract, section 2: the MAC is over the raw bytes as received; in however many chunks they
/// came, the handler gets those bytes.
#[tokio::test]
async fn the_handler_gets_the_exact_bytes_of_any_chunking() {
    let body = format!("\n\t {} \r\n", circa_body("evt_1"));
    for size in 1..body.len() + 1 {
        let seen = Arc::new(std::sync::Mutex::new(Bytes::new()));
        let endpoint = Endpoint::new(circa(), {
            let seen = Arc::clone(&seen);
            routes(move |event| {
                *seen.lock().unwrap() = event.body().clone();
                std::future::ready(Ok(()))
            })
        });
        let request = Request::signed(body.clone());
        let steps = request.body.chunks(size).map(|chunk| Step::Chunk(Bytes::copy_from_slice(chunk)));
        assert_eq!(answer(&endpoint.deliver_with(&request, Body::new(steps)).await), HANDLED, "chunks of {size}");
        assert_eq!(*seen.lock().unwrap(), body, "chunks of {size}");
    }
}

/// Contract, section 8: the ack deadline counts from the arrival of the head, "body reading
/// included".
#[tokio::test(start_paused = true)]
async fn a_body_is_read_no_longer_than_the_ack_deadline() {
    let builder = circa().ack_deadline(seconds(3)).read_deadline(seconds(60));
    let endpoint = Endpoint::new(builder, Gate::open().routes());
    let start = tokio::time::Instant::now();
    let response = endpoint.deliver_with(&Request::circa("evt_1"), Body::new([Step::Stall])).await;
    assert_eq!((answer(&response), start.elapsed()), ((408, "request timeout"), seconds(3)));
}
