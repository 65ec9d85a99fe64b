//! Typed events: every documented shape decodes into its type, what is unknown stays data, and no
//! event becomes an event of another type.

use std::collections::HashMap;

use circa_receiver::{
    AnyEvent, DecodeError, Delivery, Event, EventData, EventKind, Sender, Verifier,
    event::{DatapointPulled, DocumentCreated, DocumentEvent, DocumentSigned, SignRequest, WebhookTest},
    testing::{CircaSigner, Fixture, fixtures, unix_time},
};

const SECRET: &str = "whsec_test_0123456789abcdef";
const NOW: i64 = 1_747_000_800;

fn circa(body: impl Into<String>) -> AnyEvent {
    let body = body.into();
    let signature = CircaSigner::new(SECRET).sign(NOW, body.as_bytes());
    let verifier = Verifier::circa(circa_receiver::Secret::new(SECRET).unwrap());
    let headers = [("circa-signature", signature.as_bytes())];
    verifier.verify(headers, body.into_bytes(), unix_time(NOW)).unwrap().event().unwrap()
}

fn circularo(body: impl Into<String>) -> AnyEvent {
    Verifier::dangerous_circularo_unsigned()
        .verify([], body.into().into_bytes(), unix_time(NOW))
        .unwrap()
        .event()
        .unwrap()
}

fn event(fixture: &Fixture) -> AnyEvent {
    if fixture.sender() == Sender::CIRCA { circa(fixture.body()) } else { circularo(fixture.body()) }
}

fn pulled(data: &str) -> Result<DatapointPulled, DecodeError> {
    let event = circa(format!(r#"{{"id":"evt_1","type":"datapoint.pulled","data":{data}}}"#));
    assert_eq!(event.raw_data(), Some(data.as_bytes()), "byte for byte");
    Event::try_from(event).map(Event::into_data)
}

/// Circa documentation, Webhooks: the three units, and the older form without one.
#[test]
fn datapoint_pulled_in_all_its_forms() {
    let all = fixtures();
    let [property, process, impact, older, ..] = &all[..] else { panic!("four forms come first") };
    let data = |fixture| Event::<DatapointPulled>::try_from(event(fixture)).unwrap().into_data();

    let DatapointPulled::Property(pull) = data(property) else { panic!("a property") };
    assert_eq!(pull.material_id(), "8c2a17a4-1234-4d1e-9b21-3a8e2c91c0a1");
    assert_eq!(pull.property_ids().iter().collect::<Vec<_>>(), ["55ada0c1", "18a58f02"]);
    assert_eq!((pull.property_ids().len(), pull.property_ids().get(2), pull.user_id()), (2, None, Some("u_a13c")));

    let DatapointPulled::Process(pull) = data(process) else { panic!("a process") };
    assert_eq!(pull.process_id(), "bfffd26f-aa46-42ab-9069-e07102b06c4d");
    assert_eq!(pull.reference_product_ids().iter().collect::<Vec<_>>(), ["f5651ee4-1234-4d1e-9b21-3a8e2c91c0a1"]);
    assert_eq!((pull.revealed_count(), pull.user_id()), (Some(1), Some("u_a13c")));

    let DatapointPulled::Impact(pull) = data(impact) else { panic!("an impact") };
    assert_eq!((pull.process_id(), pull.user_id()), ("340e4939-6d75-430c-b6c7-1e98d566afdd", Some("u_a13c")));
    let [factor] = pull.characterization_factor_ids() else { panic!("one, its comma no separator of the list") };
    let (method, of) = ("dbc5a15e-e65f-4834-85a6-b9d9940f0a67", "340e4939-6d75-430c-b6c7-1e98d566afdd");
    assert_eq!((factor.as_str(), factor.pair()), (&*format!("{method},{of}"), Some((method, of))));

    let DatapointPulled::Material(pull) = data(older) else { panic!("the older form") };
    assert_eq!(pull.material_ids().iter().collect::<Vec<_>>(), ["m_8c2", "m_a4d"]);
    assert_eq!((pull.user_id(), pull.credits_debited()), (Some("u_a13c"), Some(2)));
}

/// Contract, section 5: "unknown `unit` values are data, not errors"; told apart from the older
/// form by the presence of `unit`.
#[test]
fn unknown_units_are_data() {
    for (unit, named) in
        [(r#""batch""#, "batch"), (r#""Property""#, "Property"), ("null", "null"), ("5", "5"), ("[]", "[]")]
    {
        let data = format!(r#"{{"materialIds":5,"unit":{unit}}}"#);
        let Ok(DatapointPulled::Unknown(pull)) = pulled(&data) else { panic!("{unit}") };
        assert_eq!((pull.unit(), pull.json()), (named, &*data));
    }
}

/// The fields of an object have no order, and fields that a unit does not have may hold anything.
#[test]
fn the_unit_may_stand_anywhere() {
    let cases = [
        ("first", r#"{"unit":"property","materialId":"m","propertyIds":["p"],"processId":5}"#),
        ("in the middle", r#"{"processId":{"a":[1]},"materialId":"m","unit":"property","propertyIds":["p"]}"#),
        ("last", r#"{"propertyIds":["p"],"materialId":"\u006d","processId":null, "unit" : "property" }"#),
        ("escaped", r#"{"materialId":"m","\u0075nit":"property","propertyIds":["p"]}"#),
    ];
    for (name, data) in cases {
        let Ok(DatapointPulled::Property(pull)) = pulled(data) else { panic!("{name}: {data}") };
        assert_eq!((pull.material_id(), pull.property_ids().get(0)), ("m", Some("p")), "{name}");
    }
}

#[test]
fn what_is_documented_as_optional_may_be_missing() {
    let cases = [
        r#"{"unit":"property","materialId":"m","propertyIds":[]}"#,
        r#"{"unit":"process","processId":"p","referenceProductIds":["r"],"userId":null,"new":{"a":1}}"#,
        r#"{"characterizationFactorIds":["no comma"],"processId":"p","unit":"impact"}"#,
        r#"{"materialIds":[],"creditsDebited":null}"#,
    ];
    for data in cases {
        assert_eq!(pulled(data).unwrap().user_id(), None, "{data}");
    }
    let Ok(DatapointPulled::Impact(pull)) = pulled(cases[2]) else { panic!("an impact") };
    assert_eq!(pull.characterization_factor_ids()[0].pair(), None);
    for (data, message) in [(r#"{"message":"hello"}"#, "hello"), ("{}", ""), (r#"{"message":null}"#, "")] {
        let event = circa(format!(r#"{{"id":"evt_1","type":"webhook.test","data":{data}}}"#));
        assert_eq!(Event::<WebhookTest>::try_from(event).unwrap().data().message(), message, "{data}");
    }
}

/// What a typed decode refuses, and that it tells the place and not the content.
#[test]
fn what_does_not_decode_is_told_by_its_place() {
    let cases = [
        r#"{"unit":"property"}"#,
        r#"{"unit":"property","materialId":"m","propertyIds":"s3cr3t"}"#,
        r#"{"unit":"process","processId":"s3cr3t","referenceProductIds":[1e400]}"#,
        r#"{"materialIds":["\ud800 s3cr3t"]}"#,
        r#""s3cr3t""#,
        "null",
    ];
    for data in cases {
        let said = pulled(data).unwrap_err().to_string();
        assert!(said.contains("line 1") && !said.contains("s3cr3t"), "{data}: {said}");
    }
    let without = circa(r#"{"id":"evt_1","type":"datapoint.pulled"}"#);
    let said = Event::<DatapointPulled>::try_from(without).unwrap_err().to_string();
    assert_eq!(said, "the event has no data");
}

/// Data of a user's own type.
#[derive(Debug, PartialEq, serde::Deserialize)]
struct WhoPulled {
    #[serde(rename = "userId")]
    user_id: String,
}

/// Contract, section 5: "unknown fields are kept or ignored, never an error". `\ud800` alone is no
/// Unicode text; it can name no field that a type has, but it is a key that a map asks for.
#[test]
fn a_key_that_is_not_unicode_is_an_unknown_field() {
    const STRANGE: &str = r#""\ud800":"s3cr3t""#;
    let created = circularo(format!(r#"{{{STRANGE},"documentId":"d","event":"documentCreated","actor":17}}"#));
    let created = Event::<DocumentCreated>::try_from(created).unwrap();
    assert_eq!((created.data().document_id(), created.data().actor().unwrap().as_str()), ("d", "17"));
    let test =
        circa(format!(r#"{{{STRANGE},"id":"evt_1","type":"webhook.test","data":{{{STRANGE},"message":"hello"}}}}"#));
    assert_eq!(Event::<WebhookTest>::try_from(test).unwrap().data().message(), "hello");

    let data = format!(r#"{{{STRANGE},"unit":"property","materialId":"m","propertyIds":["p"],"userId":"u"}}"#);
    assert!(matches!(pulled(&data), Ok(DatapointPulled::Property(pull)) if pull.material_id() == "m"));
    let pulled = circa(format!(r#"{{"id":"evt_1","type":"datapoint.pulled","data":{data}}}"#));
    assert_eq!(pulled.decode::<WhoPulled>().unwrap(), WhoPulled { user_id: "u".to_owned() });
    assert!(pulled.decode::<HashMap<String, serde_json::Value>>().is_err(), "the key is asked for");

    let wrong = circa(format!(r#"{{"id":"evt_1","type":"webhook.test","data":{{{STRANGE},"message":5}}}}"#));
    let said = wrong.decode::<WebhookTest>().unwrap_err().to_string();
    assert!(said.contains("line 1") && !said.contains("s3cr3t"), "{said}");
}

/// Circularo documentation, Webhooks: eleven events with the same fields.
#[test]
fn circularos_events_have_document_actor_and_timestamp() {
    let all = fixtures();
    let signed = all.iter().find(|fixture| fixture.event_type() == "documentSigned").unwrap();
    let event = Event::<DocumentSigned>::try_from(event(signed)).unwrap();
    assert_eq!(event.data().document_id(), "cd47142b-2618-4993-acaa-15c662929c17");
    assert_eq!(event.data().actor().unwrap().as_str(), "mary.griffin@circularo.com");
    let timestamp = event.data().timestamp().unwrap();
    assert_eq!((timestamp.as_str(), timestamp.unix_millis()), ("2024-06-01T13:10:10.500Z", Some(1_717_247_410_500)));
    assert_eq!(event.document_id(), Some(event.data().document_id()));
    assert_eq!((event.actor().as_ref(), event.timestamp().as_ref()), (event.data().actor(), event.data().timestamp()));

    let other = circularo(r#"{"documentId":"d","event":"signRequest","actor":17,"timestamp":null}"#);
    let document: DocumentEvent = other.decode().unwrap();
    assert_eq!((document.actor().unwrap().as_str(), document.timestamp()), ("17", None));
    assert!(Event::<SignRequest>::try_from(other).is_ok());
}

/// Every fixture is of the kind that its type says, and of no other type.
#[test]
fn no_event_becomes_an_event_of_another_type() {
    for fixture in fixtures() {
        let event = event(&fixture);
        assert!(!matches!(event.kind(), EventKind::Other(_)), "{}", fixture.name());
        let others = [
            (WebhookTest::TYPE, Event::<WebhookTest>::try_from(event.clone()).is_ok()),
            (DatapointPulled::TYPE, Event::<DatapointPulled>::try_from(event.clone()).is_ok()),
            (DocumentSigned::TYPE, Event::<DocumentSigned>::try_from(event.clone()).is_ok()),
        ];
        for (event_type, becomes) in others {
            assert_eq!(becomes, event_type == fixture.event_type(), "{} as {event_type}", fixture.name());
        }
    }
    // The other sender's type of the same name is another type.
    let same_name = circularo(r#"{"documentId":"d","event":"webhook.test","message":""}"#);
    assert_eq!(same_name.kind(), EventKind::Other("webhook.test"));
    let said = Event::<WebhookTest>::try_from(same_name).unwrap_err().to_string();
    assert_eq!(said, "the event is not a webhook.test");
}

/// A pure function of endpoint, event and step: the same in every version too.
#[test]
fn an_idempotency_key_is_of_one_endpoint_event_and_step() {
    let key = |endpoint: &str, id: &str, step: &str| {
        let event = circa(format!(r#"{{"id":"{id}","type":"webhook.test","data":{{}}}}"#));
        Delivery::new(endpoint, event).idempotency_key(step)
    };
    let first = key("circa", "evt_1", "charge");
    assert_eq!(first, "756c3cad6eface0783a85fa7632d47f2ad4057c2a1172a48c793c6ebb5638f67");
    assert_eq!(first, key("circa", "evt_1", "charge"));
    for (endpoint, id, step) in [
        ("circa", "evt_1", "ship"),
        ("circa", "evt_2", "charge"),
        ("other", "evt_1", "charge"),
        ("circae", "vt_1", "charge"),
        ("circa", "evt_1c", "harge"),
    ] {
        assert_ne!(first, key(endpoint, id, step), "{endpoint} {id} {step}");
    }
}
