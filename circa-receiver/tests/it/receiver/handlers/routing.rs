//! Which handler an event goes to: by its type, its mode and its signed body alone.

use std::sync::{Arc, Mutex};

use circa_receiver::{
    AnyEvent, Delivery, Event, EventData, HandlerError, Mode, PortableHandler, RouteError, Routes, Sender,
    event::{DatapointPulled, DocumentSigned, WebhookTest},
};

use super::Answer;
use crate::support::receiving::{
    Endpoint, FAILED, Gate, HANDLED, IGNORED, Request, answer, circa, circa_body, circularo, circularo_body,
};

/// Which of several handlers has run.
fn naming(name: &'static str, ran: &Arc<Mutex<Vec<&'static str>>>) -> impl Fn(AnyEvent, ()) -> Ready + Clone + use<> {
    let ran = Arc::clone(ran);
    move |_, ()| {
        ran.lock().unwrap().push(name);
        std::future::ready(Ok(()))
    }
}

type Ready = std::future::Ready<Result<(), HandlerError>>;

/// Contract, section 8: no handler for the type: the fallback if there is one, else 200 `ignored`,
/// counted. Exact match only, no prefixes.
#[tokio::test]
async fn types_match_exactly_or_go_to_the_fallback() {
    let cases = [
        ("webhook.test", "exact"),
        ("webhook.test.extra", "fallback"),
        ("webhook", "fallback"),
        ("webhook.", "fallback"),
        ("Webhook.Test", "fallback"),
        ("webhook-test", "fallback"),
        ("xwebhook.test", "fallback"),
        ("never.seen.before", "fallback"),
    ];
    for (event_type, expected) in cases {
        let body = circa_body("evt_1").replace("webhook.test", event_type);
        let ran = Arc::default();
        let with_fallback =
            Routes::new().on_type("webhook.test", naming("exact", &ran)).fallback(naming("fallback", &ran));
        let endpoint = Endpoint::new(circa(), with_fallback);
        assert_eq!(answer(&endpoint.deliver(&Request::signed(body.clone())).await), HANDLED, "{event_type}");
        assert_eq!(*ran.lock().unwrap(), [expected], "{event_type}");

        let endpoint = Endpoint::new(circa(), Routes::new().on_type("webhook.test", naming("exact", &ran)));
        let response = endpoint.deliver(&Request::signed(body)).await;
        let ignored = expected == "fallback";
        assert_eq!(answer(&response), if ignored { IGNORED } else { HANDLED }, "{event_type}, without a fallback");
        assert_eq!(endpoint.notes.count("ignored"), usize::from(ignored), "{event_type}");
    }
}

/// The type stands in the signed body; an escape in it changes nothing.
#[tokio::test]
async fn an_escaped_type_is_the_same_type() {
    let ran = Arc::default();
    let endpoint = Endpoint::new(circa(), Routes::new().on_type("webhook.test", naming("exact", &ran)));
    let body = circa_body("evt_1").replace("webhook.test", "webhook\\u002etest");
    assert_eq!(answer(&endpoint.deliver(&Request::signed(body)).await), HANDLED);
    assert_eq!(*ran.lock().unwrap(), ["exact"]);
}

/// The event type of a handler comes from its argument's type; the handler gets the typed data and
/// the envelope.
#[tokio::test]
async fn a_typed_handler_gets_the_events_of_its_type() {
    let message = Arc::new(Mutex::new(String::new()));
    let tested = {
        let message = Arc::clone(&message);
        move |event: Event<WebhookTest>, (): ()| {
            let message = Arc::clone(&message);
            async move {
                *message.lock().unwrap() = format!("{} {}", event.id(), event.data().message());
                Ok(())
            }
        }
    };
    let endpoint = Endpoint::new(circa(), Routes::new().on(tested));
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    assert_eq!(*message.lock().unwrap(), "evt_1 hello");

    let signed = async |event: Event<DocumentSigned>, (): ()| {
        assert_eq!(event.document_id(), Some("doc"));
        Ok(())
    };
    let endpoint = Endpoint::new(circularo(), Routes::new().on(signed));
    assert_eq!(answer(&endpoint.deliver(&Request::circularo(circularo_body("doc"))).await), HANDLED);
}

/// Data types that do not hand every error on.
mod careless {
    use circa_receiver::{EventData, Sender};
    use serde::{
        Deserialize, Deserializer,
        de::{Error, Visitor},
    };

    /// A string of any bytes.
    pub(super) struct AnyBytes;

    /// A string, if it is one.
    pub(super) struct Swallowing;

    /// Does not look at the data.
    pub(super) struct FromNothing;

    /// Panics.
    pub(super) struct Panicking;

    impl<'de> Deserialize<'de> for AnyBytes {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_bytes(Self)
        }
    }

    impl Visitor<'_> for AnyBytes {
        type Value = Self;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Self, E> {
            Ok(self)
        }
    }

    impl<'de> Deserialize<'de> for Swallowing {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let _ = String::deserialize(deserializer);
            Ok(Self)
        }
    }

    impl<'de> Deserialize<'de> for FromNothing {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }

    impl<'de> Deserialize<'de> for Panicking {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            panic!("not today")
        }
    }

    macro_rules! of_pulls {
        ($($name:ident)*) => {$(
            impl EventData for $name {
                const SENDER: Sender = Sender::CIRCA;
                const TYPE: &'static str = "datapoint.pulled";
            }
        )*};
    }

    of_pulls! { AnyBytes Swallowing FromNothing Panicking }
}

fn taking<T: EventData>() -> Routes<PortableHandler<()>> {
    async fn take<T: EventData>(_: Event<T>, (): ()) -> Result<(), HandlerError> {
        Ok(())
    }
    Routes::new().on(take::<T>)
}

/// Contract, sections 5 and 8: whatever type a handler takes, the same bodies are JSON; data that
/// does not decode, or panics, is its handler's failure.
#[tokio::test]
async fn what_a_handler_takes_does_not_change_what_is_json() {
    use careless::{AnyBytes, FromNothing, Panicking, Swallowing};

    const MALFORMED: Answer = (400, "bad request");
    let cases = [
        (r#""text""#, taking::<AnyBytes>(), HANDLED),
        (r#""\ud800""#, taking::<AnyBytes>(), HANDLED),
        ("\"line\nbreak\"", taking::<AnyBytes>(), MALFORMED),
        ("\"a\u{1}b\"", taking::<AnyBytes>(), MALFORMED),
        ("7", taking::<AnyBytes>(), FAILED),
        (r#""text""#, taking::<Swallowing>(), HANDLED),
        (r#""\ud800é""#, taking::<Swallowing>(), FAILED),
        (r#""\é""#, taking::<Swallowing>(), MALFORMED),
        ("nulx", taking::<Swallowing>(), MALFORMED),
        ("{}", taking::<FromNothing>(), FAILED),
        ("{]", taking::<FromNothing>(), MALFORMED),
        ("", taking::<FromNothing>(), MALFORMED),
        ("{}", taking::<Panicking>(), FAILED),
        ("{]", taking::<Panicking>(), MALFORMED),
        ("{}", taking::<DatapointPulled>(), FAILED),
        ("{]", taking::<DatapointPulled>(), MALFORMED),
        (r#"{"unit":"property","materialId":"m","propertyIds":["\ud800"]}"#, taking::<DatapointPulled>(), FAILED),
        (r#"{"unit":"property","materialId":"m","propertyIds":[],"x":1e400}"#, taking::<DatapointPulled>(), HANDLED),
        (r#"{"unit":"property","materialId":"m","propertyIds":[],"x":nulx}"#, taking::<DatapointPulled>(), MALFORMED),
        (r#"{"unit":"rocket"},"data":{"unit":"rocket"}"#, taking::<DatapointPulled>(), MALFORMED),
    ];
    for (data, routes, expected) in cases {
        let request = Request::signed(format!(r#"{{"id":"evt_1","type":"datapoint.pulled","data":{data}}}"#));
        let endpoint = Endpoint::new(circa(), routes);
        assert_eq!(answer(&endpoint.deliver(&request).await), expected, "{data}");
        let any = Endpoint::new(circa(), Routes::new().fallback(async |_: AnyEvent, (): ()| Ok(())));
        let expected = if expected == MALFORMED { MALFORMED } else { HANDLED };
        assert_eq!(answer(&any.deliver(&request).await), expected, "{data}, as any event");
    }
}

/// A handler takes the event, the delivery, or both; a typed one is found by its first argument.
#[tokio::test]
async fn a_handler_takes_what_it_wants_of_the_delivery() {
    type Seen = Arc<Mutex<Vec<String>>>;
    fn see(seen: &Seen, delivery: &Delivery, event: &AnyEvent) -> Result<(), HandlerError> {
        let key = delivery.idempotency_key("charge");
        seen.lock().unwrap().push(format!("{} {} {}", delivery.endpoint(), event.id(), &key[..8]));
        Ok(())
    }
    let typed = async |event: Event<WebhookTest>, delivery: Delivery, seen: Seen| see(&seen, &delivery, &event);
    let untyped = async |event: AnyEvent, delivery: Delivery, seen: Seen| see(&seen, &delivery, &event);
    let whole = async |delivery: Delivery, seen: Seen| see(&seen, &delivery, delivery.event());
    let table = Routes::new;
    let rows = [
        ("typed", table().on(typed)),
        ("untyped", table().on_type("webhook.test", untyped)),
        ("the whole", table().fallback(whole)),
    ];
    for (name, routes) in rows {
        let (seen, request) = (Seen::default(), Request::circa("evt_1"));
        let head = (request.method, &request.headers[..]);
        let receiver = circa().build().unwrap();
        let response = receiver.handle(&head, request.body.clone(), &routes, Arc::clone(&seen)).await;
        assert_eq!(answer(&response), HANDLED, "{name}");
        assert_eq!(*seen.lock().unwrap(), ["circa evt_1 756c3cad"], "{name}");
    }
}

/// Contract, section 8: registering two handlers for one type is an error at build.
#[test]
fn two_handlers_for_one_type_are_an_error() {
    #[derive(serde::Deserialize)]
    struct OfMyOwn;

    impl EventData for OfMyOwn {
        const SENDER: Sender = Sender::CIRCA;
        const TYPE: &'static str = "webhook.test";
    }

    let any = async |_: AnyEvent, (): ()| Ok(());
    let typed = async |_: Event<WebhookTest>, (): ()| Ok(());
    let own = async |_: Event<OfMyOwn>, (): ()| Ok(());
    let twice = Err(RouteError::Duplicate("webhook.test".to_owned()));
    type Table = Routes<PortableHandler<()>>;
    let cases: [(&str, Table, Result<(), RouteError>); 6] = [
        ("one", Routes::new().on(typed), Ok(())),
        ("by name, twice", Routes::new().on_type("webhook.test", any).on_type("webhook.test", any), twice.clone()),
        ("by type and by name", Routes::new().on(typed).on_type("webhook.test", any), twice.clone()),
        ("by two types of one name", Routes::new().on(typed).on(own), twice),
        ("two fallbacks", Routes::new().fallback(any).fallback(any), Err(RouteError::TwoFallbacks)),
        ("none", Routes::new(), Err(RouteError::Empty)),
    ];
    for (name, routes, expected) in cases {
        assert_eq!(routes.check(Sender::CIRCA), expected, "{name}");
    }
}

fn with_livemode(livemode: &str) -> Request {
    Request::signed(circa_body("evt_1").replace(r#""livemode":false,"#, livemode))
}

/// Contract, sections 1 and 5: the mode; a missing `livemode` is accepted in mode `Any` and refused
/// in `Live` and `Test`.
#[tokio::test]
async fn the_mode_decides_by_livemode() {
    let malformed = (400, "bad request");
    let (live, test, missing) = (r#""livemode":true,"#, r#""livemode":false,"#, "");
    let cases = [
        ("any, live", Mode::Any, live, HANDLED),
        ("any, test", Mode::Any, test, HANDLED),
        ("any, missing", Mode::Any, missing, HANDLED),
        ("live, live", Mode::Live, live, HANDLED),
        ("live, test", Mode::Live, test, IGNORED),
        ("live, missing", Mode::Live, missing, malformed),
        ("test, live", Mode::Test, live, IGNORED),
        ("test, test", Mode::Test, test, HANDLED),
        ("test, missing", Mode::Test, missing, malformed),
        ("any, null", Mode::Any, r#""livemode":null,"#, HANDLED),
        ("any, a string", Mode::Any, r#""livemode":"true","#, HANDLED),
        ("any, a number", Mode::Any, r#""livemode":1,"#, HANDLED),
    ];
    for (name, mode, livemode, expected) in cases {
        let gate = Gate::open();
        let endpoint = Endpoint::new(circa().mode(mode), gate.routes());
        assert_eq!(answer(&endpoint.deliver(&with_livemode(livemode)).await), expected, "{name}");
        assert_eq!(gate.started(), usize::from(expected == HANDLED), "{name}");
    }
    let by_default = Endpoint::new(circa(), Gate::open().routes());
    assert_eq!(answer(&by_default.deliver(&with_livemode(missing)).await), HANDLED);
}

/// Contract, section 6: identity and routing always come from the signed body.
#[tokio::test]
async fn unsigned_headers_do_not_route() {
    let ran = Arc::default();
    let routes = Routes::new().on_type("webhook.test", naming("test", &ran)).on_type("other", naming("other", &ran));
    let endpoint = Endpoint::new(circa(), routes);
    let request = Request::circa("evt_1").header("Circa-Event", "other");
    assert_eq!(answer(&endpoint.deliver(&request).await), (400, "bad request"));
    assert!(ran.lock().unwrap().is_empty());
    let request = Request::circa("evt_1").header("Circa-Event", "webhook.test").header("Circa-Event-Id", "evt_1");
    assert_eq!(answer(&endpoint.deliver(&request).await), HANDLED);
}
