//! Probes a whole application and says in words what stands between the sender and the receiver.
//!
//! Every probe is refused before a handler could run: it is unsigned, or its signed body is no
//! event. Where the receiver has a dead-letter sink, signed probes go there. The order of the
//! probes is that of the diagnoses:
//!
//! 1. unsigned: is the path routed, for POST, with a receiver?
//! 2. signed and empty: is the secret right?
//! 3. signed, with a body: does the body arrive, untouched, undecompressed and whole?

use http::Request;

use tokio::time::timeout;

use super::{Answer, CircaSigner, CircularoSigner, SENDER_TIMEOUT, SimulatedBody, Target};
use crate::clock::Clock;
use crate::sender::Sender;

/// JSON that is no event, which any parser and printer would change: white space, the order of
/// keys, an escape, a number's form.
const ODD_JSON: &str = "{ \"b\" : 1.0, \"a\" : \"\\u0041\" }\n";

/// `{}`, compressed with gzip.
const GZIP: [u8; 22] = [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 174, 5, 0, 67, 191, 166, 163, 2, 0, 0, 0];

/// The receiver's default limit, in bytes.
const LARGEST: usize = 1_024 * 1_024;

/// What stands between the sender and the receiver.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MountFault {
    /// Nothing answers at the path.
    #[error(
        "nothing is routed at {0}: the answer is 404; compare the path with the one in the router, prefixes of nested routers and scopes included"
    )]
    NotRouted(String),
    /// The path is routed, but not for POST.
    #[error("{0} is routed, but not for POST: mount the receiver with the router's `route`, or put it behind `post`")]
    WrongMethod(String),
    /// The handler takes an event, and no receiver stands in front of it.
    #[error(
        "the handler's extractor stands outside a receiver: mount it with `webhook(receiver).on(handler)`, or put a `ReceiverLayer` in front"
    )]
    ExtractorOutsideReceiver,
    /// An unsigned request came through.
    #[error(
        "an unsigned request is answered {0}: no receiver stands in front of this route, or one that takes unsigned deliveries"
    )]
    NotVerified(u16),
    /// Something else answers in the receiver's place.
    #[error(
        "an unsigned request is answered {0} instead of 401: something in front of the receiver answers in its place"
    )]
    AnsweredInFront(u16),
    /// No answer came in 15 s, or the connection ended without one.
    #[error("the application does not answer within 15 s, or ends the connection without an answer")]
    NoAnswer,
    /// The secret is another one.
    #[error(
        "a rightly signed request is refused: the receiver has another secret (quoted, cut, stripped of `whsec_`, of another endpoint), or the other sender; or its clock is more than the tolerance off"
    )]
    WrongSecret,
    /// The body does not arrive.
    #[error("the body does not arrive: a middleware in front of the receiver has read it, and passes on an empty one")]
    BodyRead,
    /// The body arrives in another form.
    #[error(
        "the body arrives in another form: a middleware in front of the receiver parses it and prints it again; the signature covers the bytes as sent"
    )]
    BodyReserialised,
    /// The body arrives decompressed.
    #[error(
        "a compressed body arrives decompressed: a middleware in front of the receiver decompresses it; the receiver has to see, and refuses, `Content-Encoding`"
    )]
    BodyDecompressed,
    /// A large body is refused in front.
    #[error(
        "a body of 1 MiB is answered 413: a body limit in front of the receiver, or its own `body_limit`, is smaller than its default"
    )]
    SmallerLimit,
    /// A large body arrives cut short.
    #[error("a large body arrives cut short: a middleware in front of the receiver truncates it")]
    BodyTruncated,
}

/// Signs probes: [`CircaSigner`], by the system's clock, or with a clock beside it by that; or
/// [`CircularoSigner`].
pub trait ProbeSigner {
    /// The name and the value of the signature header for a body.
    fn signature(&self, body: &[u8]) -> (&'static str, String);
}

impl ProbeSigner for CircaSigner {
    fn signature(&self, body: &[u8]) -> (&'static str, String) {
        (Sender::CIRCA.signature_header(), self.sign_now(body))
    }
}

impl<C: Clock> ProbeSigner for (CircaSigner, C) {
    fn signature(&self, body: &[u8]) -> (&'static str, String) {
        let now = self.1.unix_seconds().expect("a test's clock stands after 1970");
        (Sender::CIRCA.signature_header(), self.0.sign(now, body))
    }
}

impl ProbeSigner for CircularoSigner {
    fn signature(&self, body: &[u8]) -> (&'static str, String) {
        (Sender::CIRCULARO.signature_header(), self.sign(body))
    }
}

/// Asserts that deliveries to this path of an application reach its receiver untouched. No handler
/// runs; a dead-letter sink gets the signed probes, which are no events.
///
/// # Panics
///
/// With the [`MountFault`] in words.
pub async fn assert_mounted(target: impl Target, path: &str, signer: &impl ProbeSigner) {
    if let Err(fault) = check_mounted(target, path, signer).await {
        panic!("deliveries to {path} do not reach the receiver as they should: {fault}");
    }
}

/// Whether deliveries to this path of an application reach its receiver untouched. No handler runs.
///
/// # Errors
///
/// The first [`MountFault`] that was found.
pub async fn check_mounted(target: impl Target, path: &str, signer: &impl ProbeSigner) -> Result<(), MountFault> {
    let probe = Probe { target, path, signer };
    let unsigned = probe.send(None, b"{}", false).await?;
    match unsigned.status() {
        401 => {}
        404 => return Err(MountFault::NotRouted(path.to_owned())),
        405 => return Err(MountFault::WrongMethod(path.to_owned())),
        500 if contains(unsigned.body(), "outside a receiver") => return Err(MountFault::ExtractorOutsideReceiver),
        status @ 200..=299 => return Err(MountFault::NotVerified(status)),
        status => return Err(MountFault::AnsweredInFront(status)),
    }
    if !probe.is_authentic(b"", b"").await? {
        return Err(MountFault::WrongSecret);
    }
    if !probe.is_authentic(ODD_JSON.as_bytes(), ODD_JSON.as_bytes()).await? {
        let arrives_empty = probe.is_authentic(b"", ODD_JSON.as_bytes()).await?;
        return Err(if arrives_empty { MountFault::BodyRead } else { MountFault::BodyReserialised });
    }
    // What the receiver sees compressed it refuses before it looks at the signature.
    if probe.send(Some(&GZIP), &GZIP, true).await?.status() != 415 {
        return Err(MountFault::BodyDecompressed);
    }
    let mut largest = ODD_JSON.as_bytes().to_vec();
    largest.resize(LARGEST, b' ');
    let answer = probe.send(Some(&largest), &largest, false).await?;
    match answer.status() {
        _ if is_no_event(&answer) => Ok(()),
        413 => Err(MountFault::SmallerLimit),
        _ => Err(MountFault::BodyTruncated),
    }
}

struct Probe<'p, T, S> {
    target: T,
    path: &'p str,
    signer: &'p S,
}

impl<T: Target, S: ProbeSigner> Probe<'_, T, S> {
    /// Whether a body is found authentic.
    async fn is_authentic(&self, signed: &[u8], sent: &[u8]) -> Result<bool, MountFault> {
        Ok(is_no_event(&self.send(Some(signed), sent, false).await?))
    }

    async fn send(&self, signed: Option<&[u8]>, sent: &[u8], compressed: bool) -> Result<Answer, MountFault> {
        let mut request =
            Request::post(self.path).header("content-type", "application/json").header("content-length", sent.len());
        if compressed {
            request = request.header("content-encoding", "gzip");
        }
        if let Some((name, value)) = signed.map(|signed| self.signer.signature(signed)) {
            request = request.header(name, value);
        }
        let request = request.body(SimulatedBody::whole(sent.to_vec())).expect("the path was given as one of a URI");
        let answer = timeout(SENDER_TIMEOUT, self.target.deliver(request)).await;
        answer.ok().flatten().ok_or(MountFault::NoAnswer)
    }
}

/// Whether the receiver has found the body authentic, and no event: 400, or a dead letter where
/// there is a sink.
fn is_no_event(answer: &Answer) -> bool {
    answer.status() == 400 || matches!(answer.outcome(), Some("dead-lettered" | "duplicate"))
}

fn contains(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}
