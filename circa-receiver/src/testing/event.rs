//! Events and deliveries without a request: for tests that call a handler, an observer or a
//! dead-letter sink themselves.

use std::{sync::Arc, time::SystemTime};

use super::CircaSigner;
use crate::event::{AnyEvent, Delivery, Event, EventData};
use crate::sender::Sender;
use crate::verify::{Secret, Verifier};

const SECRET: &str = "whsec_of_testing_event";

/// The event that this whole body is. Only what identifies it is needed: Circa's `id` and `type`,
/// Circularo's `event` and `documentId`.
///
/// ```
/// use circa_receiver::{event::WebhookTest, testing};
///
/// let event = testing::event::<WebhookTest>(r#"{"id":"evt_1","type":"webhook.test","data":{"message":"hello"}}"#);
/// assert_eq!(event.data().message(), "hello");
/// ```
///
/// # Panics
///
/// Where the body is no event of `T`'s type, with the reason.
#[track_caller]
pub fn event<T: EventData>(json: impl AsRef<[u8]>) -> Event<T> {
    let body = json.as_ref().to_vec();
    let (verifier, signature) = if T::SENDER == Sender::CIRCA {
        let secret = Secret::new(SECRET).expect("a good secret");
        (Verifier::circa(secret), CircaSigner::new(SECRET).sign_now(&body))
    } else {
        (Verifier::dangerous_circularo_unsigned(), String::new())
    };
    let headers = [(T::SENDER.signature_header(), signature.as_bytes())];
    let verified = verifier.verify(headers, body, SystemTime::now()).expect("it was signed just now");
    let event = verified.event().unwrap_or_else(|rejection| panic!("the body is no event: {rejection}"));
    event.try_into().unwrap_or_else(|error| panic!("the event is no `{}`: {error}", T::TYPE))
}

/// A delivery of this event at the endpoint with this name, as observers get it.
///
/// ```
/// use circa_receiver::{DeadLetter, HandlerError, event::WebhookTest, testing};
///
/// let event = testing::event::<WebhookTest>(r#"{"id":"evt_1","type":"webhook.test","data":{"message":"hello"}}"#);
/// let delivery = testing::delivery("circa", event);
/// let error = HandlerError::permanent("no such team");
/// let letter = DeadLetter::new(&delivery, &error);
/// assert_eq!(letter.event().id(), "evt_1");
/// ```
pub fn delivery(endpoint: impl Into<Arc<str>>, event: impl Into<AnyEvent>) -> Delivery {
    Delivery::new(endpoint, event.into())
}
