//! Events without a request.

use circa_receiver::{
    AnyEvent, EventData,
    event::{DatapointPulled, DocumentCompleted, WebhookTest},
    testing::{delivery, event, fixtures},
};

fn body(event_type: &str) -> String {
    fixtures().iter().find(|event| event.event_type() == event_type).unwrap().body().to_owned()
}

#[test]
fn every_senders_body_becomes_an_event() {
    assert_eq!(event::<DatapointPulled>(body(DatapointPulled::TYPE)).data().user_id(), Some("u_a13c"));
    let completed = event::<DocumentCompleted>(body(DocumentCompleted::TYPE));
    assert_eq!(completed.data().document_id(), "cd47142b-2618-4993-acaa-15c662929c17");
    let least = event::<WebhookTest>(r#"{"id":"evt_1","type":"webhook.test","data":{"message":"hello"}}"#);
    let delivery = delivery("billing", least.clone());
    assert_eq!((delivery.endpoint(), delivery.event().id(), least.team_id()), ("billing", "evt_1", None));
    assert_eq!(AnyEvent::from(least).event_type(), "webhook.test");
}

#[test]
#[should_panic(expected = "the event is no `webhook.test`: ")]
fn an_event_of_another_type_is_refused() {
    event::<WebhookTest>(body(DatapointPulled::TYPE));
}

#[test]
#[should_panic(expected = "the body is no event: ")]
fn what_is_no_event_is_refused() {
    event::<WebhookTest>("{}");
}
