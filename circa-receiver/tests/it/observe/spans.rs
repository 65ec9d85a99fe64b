//! The spans of a delivery: what they hold, and what is inside them.

use std::{
    io,
    sync::{Arc, Mutex},
};

use circa_receiver::{
    HandlerError, Inbox,
    inbox::{Interest, LeaseRequest},
    testing::CircaSigner,
};
use tracing::Instrument as _;
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan};

use crate::support::receiving::{Endpoint, Fault, NOW, Request, SECRET, ScriptedInbox, circa, routes, seconds};

/// Where all log lines go.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The only line with this text.
    #[track_caller]
    fn with(&self, text: &str) -> String {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(text)).collect();
        assert_eq!(lines.len(), 1, "{text}:\n{log}");
        lines[0].to_owned()
    }
}

/// All that is logged from now on in this thread, with a line for each span that ends.
fn log() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone());
    (lines, tracing::subscriber::set_default(subscriber.finish()))
}

#[tokio::test(start_paused = true)]
async fn a_delivery_has_its_span_and_its_handler_is_inside() {
    let (lines, _guard) = log();
    let handlers = routes(async |_| {
        tokio::time::sleep(seconds(2)).await;
        tracing::info!("in the handler");
        Ok::<(), HandlerError>(())
    });
    let endpoint = Endpoint::new(circa(), handlers);
    let handled = Request::circa("evt_1").resigned(&CircaSigner::new(SECRET), NOW - 5);
    let request = tracing::info_span!("request", request_id = 7);
    assert_eq!(endpoint.deliver(&handled).instrument(request).await.status(), 200);
    let stale = Request::circa("evt_2").resigned(&CircaSigner::new(SECRET), NOW - 1_000);
    assert_eq!(endpoint.deliver(&stale).await.status(), 401);

    let line = lines.with("in the handler");
    let place = |text: &str| line.find(text).unwrap_or_else(|| panic!("{text} is not in {line}"));
    assert!(place("request{request_id=7}") < place("webhook{") && place("webhook{") < place("webhook_handler{"));
    let closed = |status: &str| {
        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let mut lines = log.lines().filter(|line| line.contains(status) && line.contains("circa_receiver: close"));
        let last = lines.rfind(|line| !line.contains("webhook_handler{"));
        last.unwrap_or_else(|| panic!("{status} is not in {log}")).to_owned()
    };
    for (status, fields) in [
        (
            "outcome=\"handled\"",
            &[
                "endpoint=\"circa\"",
                "sender=\"circa\"",
                "event_type=\"webhook.test\"",
                "event_id=\"evt_1\"",
                "secret=#0",
                "skew_seconds=-5",
                "duration_seconds=2.0",
            ][..],
        ),
        (
            "outcome=\"rejected\"",
            &["error.type=\"timestamp_out_of_tolerance\"", "skew_seconds=-1002", "duration_seconds=0.0"],
        ),
    ] {
        let line = closed(status);
        for field in fields {
            assert!(line.contains(field), "{field} is not in {line}");
        }
    }
    assert!(!closed("outcome=\"rejected\"").contains("evt_2"), "nothing of what is not authentic");
}

/// The run leads back to its delivery by its `traceparent`, and by nothing else that the sender
/// wrote there.
#[tokio::test(start_paused = true)]
async fn a_run_from_an_inbox_has_its_span_and_its_handler_is_inside() {
    let (lines, _guard) = log();
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let handlers = || {
        routes(async |event| {
            tokio::time::sleep(seconds(2)).await;
            tracing::info!("in the handler of {}", event.id());
            match event.id() {
                "evt_done" => Ok(()),
                "evt_later" => Err(HandlerError::retry_after(seconds(60), "busy")),
                "evt_never" => Err(HandlerError::permanent("never")),
                _ => Err("away".into()),
            }
        })
    };
    let endpoint = Endpoint::new(circa().inbox(ScriptedInbox::new()), handlers());
    for (id, traceparent) in [
        ("evt_done", traceparent),
        ("evt_again", ""),
        ("evt_later", "00-forged\nline"),
        ("evt_never", &traceparent.to_uppercase()),
    ] {
        let request = Request::circa(id).header("traceparent", traceparent);
        assert_eq!(endpoint.deliver(&request).await.status(), 202, "{id}");
    }
    let worker = endpoint.receiver.worker(handlers(), ()).unwrap().build().unwrap();
    assert_eq!(worker.drain().await.unwrap(), 4);

    let line = lines.with("in the handler of evt_done");
    let place = |text: &str| line.find(text).unwrap_or_else(|| panic!("{text} is not in {line}"));
    assert!(place("webhook_run{") < place("webhook_handler{"));
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for (id, fields, has_traceparent) in [
        (
            "evt_done",
            &["outcome=\"handled\"", "attempt=1", "sender=\"circa\"", "event_type=\"webhook.test\""][..],
            true,
        ),
        ("evt_again", &["outcome=\"retried\"", "error.type=\"retryable\""], false),
        ("evt_later", &["outcome=\"postponed\"", "error.type=\"retryable\""], false),
        ("evt_never", &["outcome=\"dead-lettered\"", "error.type=\"permanent\""], false),
    ] {
        let closes = |line: &&str| {
            line.contains("webhook_run{") && line.contains("receiver: close") && !line.contains("webhook_handler{")
        };
        let id = format!("event_id={id:?}");
        let line = log.lines().filter(closes).find(|line| line.contains(&id)).unwrap_or_else(|| panic!("{id}: {log}"));
        for field in fields.iter().chain(&["duration_seconds=2.0"]) {
            assert!(line.contains(field), "{field} is not in {line}");
        }
        assert_eq!(line.contains("traceparent"), has_traceparent, "{line}");
    }
    assert!(log.contains(&format!("traceparent={traceparent:?}")), "{log}");
}

/// A run that finds only at its end that its lease has passed to another worker: what it would have
/// settled did not happen.
#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_settle_is_lost() {
    let (lines, _guard) = log();
    let inbox = ScriptedInbox::new();
    inbox.script("renew", Fault::Fail, usize::MAX);
    let handlers = || {
        let inbox = inbox.clone();
        routes(move |_| {
            let inbox = inbox.clone();
            async move {
                tokio::time::sleep(seconds(61)).await;
                let interests = [Interest::all("circa")];
                let request = LeaseRequest::new("another", &interests, 1, seconds(60));
                assert_eq!(inbox.memory().lease(request).await.unwrap().len(), 1);
                Err("away".into())
            }
        })
    };
    let endpoint = Endpoint::new(circa().inbox(inbox.clone()), handlers());
    assert_eq!(endpoint.deliver(&Request::circa("evt_1")).await.status(), 202);
    let worker = endpoint.receiver.worker(handlers(), ()).unwrap().build().unwrap();
    assert_eq!(worker.drain().await.unwrap(), 1);

    let line = lines.with("outcome=\"lost\"");
    assert!(line.contains("webhook_run{") && line.contains("error.type=\"lease_lost\""), "{line}");
    let told = ["claim lost", "failed: away", "retried"].map(|note| endpoint.notes.count(note));
    assert_eq!(told, [1, 1, 0], "{:?}", endpoint.notes.all());
}
