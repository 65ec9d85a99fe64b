//! Every case of `vectors/cases.json` in the core: what the verifier judges, what refuses to be built, and the whole receiver.
#![allow(clippy::unwrap_used, missing_docs)]

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use circa_receiver::{Rejection, Secret, SecretError, Secrets, Verifier};
use serde::Deserialize;

const CASES: &str = include_str!("vectors/cases.json");

/// One case; a field or a value that is not known here fails the reading, so that no rule in the data goes unheard.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "receiver"), allow(dead_code))]
struct Case {
    id: String,
    what: String,
    layer: Layer,
    sender: Sender,
    now: i64,
    secrets: Vec<Octets>,
    tolerance_seconds: Option<u64>,
    mode: Option<Mode>,
    method: Option<String>,
    headers: Vec<(String, Octets)>,
    body_base64: Option<String>,
    body: Option<Generated>,
    expect: Expect,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Layer {
    Signature,
    Event,
    Mac,
    Config,
    Http,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Sender {
    Circa,
    Circularo,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(not(feature = "receiver"), allow(dead_code))]
enum Mode {
    Any,
    Live,
    Test,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Octets {
    Text(String),
    Base64(Base64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64 {
    base64: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generated {
    repeat: Repeat,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Repeat {
    prefix: String,
    unit: String,
    count: usize,
    suffix_unit: String,
    suffix_count: usize,
    suffix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "receiver"), allow(dead_code))]
struct Expect {
    verdict: Verdict,
    reason: Option<String>,
    #[serde(default)]
    or_reason: OrReason,
    status: Option<u16>,
}

/// One more reason that is as good, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum OrReason {
    One(String),
    Several(Vec<String>),
}

impl Default for OrReason {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Accept,
    Ignored,
    Reject,
    RefusedAtBuild,
}

impl Octets {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Base64(Base64 { base64 }) => BASE64.decode(base64).unwrap(),
        }
    }
}

impl Case {
    fn all() -> Vec<Self> {
        serde_json::from_str(CASES).unwrap()
    }

    fn body(&self) -> Bytes {
        match (&self.body_base64, &self.body) {
            (Some(base64), None) => BASE64.decode(base64).unwrap().into(),
            (None, Some(Generated { repeat })) => [
                repeat.prefix.clone(),
                repeat.unit.repeat(repeat.count),
                repeat.suffix_unit.repeat(repeat.suffix_count),
                repeat.suffix.clone(),
            ]
            .concat()
            .into(),
            _ => panic!("{}: a case has one body", self.id),
        }
    }

    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        self.headers.iter().map(|(name, value)| (name.clone(), value.bytes())).collect()
    }

    fn secrets(&self) -> Result<Secrets, SecretError> {
        let secrets = self.secrets.iter().map(|secret| match self.layer {
            Layer::Mac => Secret::dangerous_unchecked(secret.bytes()),
            Layer::Signature | Layer::Event | Layer::Http | Layer::Config => Secret::new(secret.bytes()),
        });
        Secrets::new(secrets.collect::<Result<Vec<_>, _>>()?)
    }

    fn verifier(&self) -> Verifier {
        let secrets = self.secrets().unwrap();
        let verifier = match self.sender {
            Sender::Circa => Verifier::circa(secrets),
            Sender::Circularo => Verifier::circularo(secrets),
        };
        match self.tolerance_seconds {
            Some(seconds) => verifier.tolerance(std::time::Duration::from_secs(seconds)).unwrap(),
            None => verifier,
        }
    }

    /// `None` if this is the refusal that the case wants.
    fn wrong_reason(&self, reason: &str) -> Option<String> {
        let others = match &self.expect.or_reason {
            OrReason::One(other) => std::slice::from_ref(other),
            OrReason::Several(others) => others,
        };
        let wanted = self.expect.reason.as_deref().expect("a refusal has a reason");
        let as_good = reason == wanted || others.iter().any(|other| other == reason);
        (!as_good).then(|| format!("refused as {reason}, not as {wanted}"))
    }
}

/// Runs the cases of some layers, prints those that fail, by id, and tells how many were run.
fn run(layers: &[Layer], check: impl Fn(&Case) -> Result<(), String>) -> usize {
    let cases = Case::all();
    let cases: Vec<_> = cases.iter().filter(|case| layers.contains(&case.layer)).collect();
    let failures: Vec<_> = cases
        .iter()
        .filter_map(|case| check(case).err().map(|error| format!("{} ({}): {error}", case.id, case.what)))
        .collect();
    assert!(failures.is_empty(), "{} of {} cases fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
    cases.len()
}

#[test]
fn every_case_belongs_to_a_layer_that_is_run() {
    let cases = Case::all();
    let count = |layer| cases.iter().filter(|case| case.layer == layer).count();
    let counts = [Layer::Signature, Layer::Event, Layer::Mac, Layer::Config, Layer::Http].map(count);
    assert_eq!((counts, cases.len()), ([45, 25, 22, 6, 13], 111));
    let ids: std::collections::HashSet<_> = cases.iter().map(|case| &case.id).collect();
    assert_eq!(ids.len(), cases.len(), "ids are unique");
}

/// Contract, sections 2 and 3: verification alone decides. For the layer `event` it accepts, and the envelope decides.
#[test]
fn verifier() {
    let check = |case: &Case| {
        let headers = case.headers();
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let verified = case.verifier().verify(pairs, case.body(), case.now);
        let end = match (case.layer, verified) {
            (Layer::Event, Ok(verified)) => verified.event().map(drop),
            (Layer::Event, Err(rejection)) => return Err(format!("not authentic: {rejection}")),
            (_, verified) => verified.map(drop),
        };
        match (case.expect.verdict, end) {
            (Verdict::Accept | Verdict::Ignored, Ok(())) => Ok(()),
            (Verdict::Reject, Err(rejection)) => case.wrong_reason(rejection.reason()).map_or(Ok(()), Err),
            (verdict, end) => Err(format!("{verdict:?} was expected, not {end:?}")),
        }
    };
    assert_eq!(run(&[Layer::Signature, Layer::Event, Layer::Mac], check), 45 + 25 + 22);
}

/// As [`verifier`] for the MAC alone, one byte of the body changed: a known answer is the answer to one body only.
#[test]
fn a_known_mac_of_another_body_is_refused() {
    let check = |case: &Case| {
        let headers = case.headers();
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let body = [&case.body()[..], b"\0"].concat();
        match case.verifier().verify(pairs, body, case.now) {
            Err(Rejection::SignatureMismatch) => Ok(()),
            end => Err(format!("{end:?}")),
        }
    };
    assert_eq!(run(&[Layer::Mac], check), 22);
}

/// Contract, section 4: refused when the receiver is built.
#[test]
fn refused_at_build() {
    let check = |case: &Case| match (case.expect.verdict, case.secrets()) {
        (Verdict::RefusedAtBuild, Err(_)) => Ok(()),
        (verdict, built) => Err(format!("{verdict:?} was expected, not {built:?}")),
    };
    assert_eq!(run(&[Layer::Config], check), 6);
}

#[cfg(feature = "receiver")]
#[path = "support/chunks.rs"]
mod chunks;

#[cfg(feature = "receiver")]
mod receiver {
    use std::sync::{Arc, Mutex};

    use circa_receiver::{
        AnyEvent, Delivery, HandlerError, Observer, PortableHandler, Receiver, Reception, Response, Routes,
        testing::FakeClock,
    };

    use super::*;
    use crate::chunks::Chunks;

    /// The handlers of every documented type, and no fallback.
    const TYPES: [&str; 13] = [
        "datapoint.pulled",
        "webhook.test",
        "documentCreated",
        "documentEdited",
        "documentDeleted",
        "signRequest",
        "signDelegated",
        "signRejected",
        "signExpired",
        "signCancelled",
        "documentSigned",
        "documentCompleted",
        "documentSimpleActionExecuted",
    ];

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
        TYPES.into_iter().fold(Routes::new(), |routes, event_type| routes.on_type(event_type, handler))
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
                let (task, answer) = admitted.run(move |delivery| handler.call(delivery.event().clone(), log));
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

    /// Contract, section 1: verdict, status and reason of a whole receiver, however the body arrives; the handler runs once or never.
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
}
