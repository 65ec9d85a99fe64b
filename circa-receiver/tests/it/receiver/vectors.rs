//! Every case of `vectors/cases.json` in a whole receiver.

use std::sync::{Arc, Mutex};

use circa_receiver::{
    AnyEvent, Delivery, HandlerError, Observer, PortableHandler, Receiver, Rejection, Response, Routes,
    adapter::Reception, testing::FakeClock,
};
use circa_receiver_test_support::Chunks;

use crate::support::vectors::{Case, Layer, Mode, Sender, Verdict, run};

/// What a receiver did with one delivery: everything that was observed, and every run of a handler.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn push(&self, entry: &str) {
        self.0.lock().unwrap().push(entry.to_owned());
    }

    fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Log {
    fn rejected(&self, _: &str, rejection: Rejection) {
        self.push(rejection.reason());
    }

    fn authenticated(&self, _: &Delivery) {
        self.push("authenticated");
    }

    fn ignored(&self, _: &Delivery) {
        self.push("ignored");
    }

    fn handled(&self, _: &Delivery, _: std::time::Duration) {
        self.push("handled");
    }
}

async fn handler(_: AnyEvent, log: Log) -> Result<(), HandlerError> {
    log.push("handler ran");
    Ok(())
}

fn routes() -> Routes<PortableHandler<Log>> {
    // Of every documented type, and no fallback.
    let types = circa_receiver::Sender::CIRCA.event_types().chain(circa_receiver::Sender::CIRCULARO.event_types());
    types.fold(Routes::new(), |routes, event_type| routes.on_type(event_type, handler))
}

fn build(case: &Case, log: &Log) -> Receiver {
    let secrets = case.secrets().unwrap();
    let mut builder = match case.sender {
        Sender::Circa => Receiver::circa(secrets),
        Sender::Circularo => Receiver::circularo(secrets),
    };
    if let Some(seconds) = case.tolerance_seconds {
        builder = builder.tolerance(std::time::Duration::from_secs(seconds));
    }
    if let Some(mode) = case.mode {
        builder = builder.mode(match mode {
            Mode::Any => circa_receiver::Mode::Any,
            Mode::Live => circa_receiver::Mode::Live,
            Mode::Test => circa_receiver::Mode::Test,
        });
    }
    builder.clock(FakeClock::at(case.now)).observer(log.clone()).build().unwrap()
}

/// The body at hand, as from a framework that has read it.
async fn whole(case: &Case, log: &Log) -> Response {
    let headers = case.headers();
    let head = (case.method.as_deref().unwrap_or("POST"), &headers[..]);
    build(case, log).handle(&head, case.body(), &routes(), log.clone()).await
}

/// The body in eight chunks, as of a chunked request or of HTTP/2's frames.
async fn in_chunks(case: &Case, log: &Log) -> Response {
    let headers = case.headers();
    let head = (case.method.as_deref().unwrap_or("POST"), &headers[..]);
    let (body, routes) = (case.body(), routes());
    match build(case, log).receive(&head, Chunks::of(&body, body.len() / 7 + 1), &routes).await {
        Reception::Answered(response) => response,
        Reception::Admitted(admitted, handler) => {
            let (handler, log) = (handler.clone(), log.clone());
            let (task, answer) = admitted.run(move |delivery| handler.call(delivery, log));
            answer.wait_for(tokio::spawn(task)).await
        }
    }
}

fn judge(case: &Case, response: Response, log: &Log) -> Result<(), String> {
    let status = case.expect.status.expect("a case of a whole receiver has a status");
    if response.status() != status {
        return Err(format!("answered {}, not {status}; {:?}", response.status(), log.entries()));
    }
    if status == 401 && response != circa_receiver::Outcome::Rejected(Rejection::MissingSignature).response() {
        return Err(format!("a 401 of its own: {response:?}"));
    }
    let outcome = response.headers().find(|(name, _)| *name == "circa-receiver-outcome").map(|(_, value)| value);
    let entries = log.entries();
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    match (case.expect.verdict, outcome, &entries[..]) {
        (Verdict::Accept, Some("handled"), ["authenticated", "handler ran", "handled"]) => Ok(()),
        (Verdict::Ignored, Some("ignored"), ["authenticated", "ignored"]) => Ok(()),
        (Verdict::Reject, None, [reason]) => case.wrong_reason(reason).map_or(Ok(()), Err),
        (verdict, outcome, entries) => Err(format!("{verdict:?} was expected, not {outcome:?} {entries:?}")),
    }
}

/// Contract, section 1: verdict, status and reason of a whole receiver, however the body arrives;
/// the handler runs once or never.
#[test]
fn whole_receiver() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let check = |case: &Case| {
        let log = Log::default();
        let response = runtime.block_on(whole(case, &log));
        judge(case, response, &log).map_err(|error| format!("body at hand: {error}"))?;
        let log = Log::default();
        let response = runtime.block_on(in_chunks(case, &log));
        judge(case, response, &log).map_err(|error| format!("body in chunks: {error}"))
    };
    assert_eq!(run(&[Layer::Signature, Layer::Event, Layer::Http], check), 45 + 25 + 13);
}
