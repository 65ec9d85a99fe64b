//! The spans of a delivery: what they hold, and what is inside them.

use std::{
    io,
    sync::{Arc, Mutex},
};

use circa_receiver::{HandlerError, testing::CircaSigner};
use tracing::Instrument as _;
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan};

use crate::support::receiving::{Endpoint, NOW, Request, SECRET, circa, routes, seconds};

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

#[tokio::test(start_paused = true)]
async fn a_delivery_has_its_span_and_its_handler_is_inside() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
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
