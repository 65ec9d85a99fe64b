//! Deliveries over HTTP/2, many at once, and what the receivers print of them.

use circa_receiver::testing::{CircaSigner, fixtures};
use tokio::task::JoinSet;

use super::CIRCA;
use crate::support::{CIRCA_SECRET, REFERENCES, Request, circa, circularo, event, pulled_line};

/// Contract, section 1, check 3: "two or more field lines"; HTTP/2 may send one header as several
/// fields.
#[tokio::test]
async fn deliveries_over_http2() {
    for reference in &REFERENCES {
        let mut process = reference.start().await;
        let body = event("evt_1");
        let signature = CircaSigner::new(CIRCA_SECRET).sign_now(body.as_bytes());
        let (time, mac) = signature.split_once(',').unwrap();
        let split =
            Request::post(CIRCA).header("circa-signature", time).header("circa-signature", mac).body(body.clone());
        assert_eq!(split.send_http2(process.address).await.status, 401, "{}", reference.name);
        assert_eq!(process.reason().await, "malformed_signature", "{}", reference.name);
        for outcome in ["handled", "duplicate"] {
            let answer = circa(body.clone()).send_http2(process.address).await;
            assert_eq!(answer.told(), (200, Some(outcome)), "{}", reference.name);
        }
        let get = circa(body).method("GET").send_http2(process.address).await;
        assert_eq!((get.status, get.header("allow")), (405, Some("POST")), "{}", reference.name);
        assert_eq!(process.stop().await.stdout, [pulled_line("evt_1")], "{}", reference.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_identical_deliveries_at_once_run_the_handler_once() {
    for reference in &REFERENCES {
        let process = reference.start().await;
        let request = circa(event("evt_1"));
        let mut senders = JoinSet::new();
        // No more than a quarter of the 256 places: further copies would be refused.
        for _ in 0..60 {
            let (request, address) = (request.clone(), process.address);
            senders.spawn(async move { request.send(address).await });
        }
        let mut handled = 0;
        while let Some(answer) = senders.join_next().await {
            match answer.unwrap().told() {
                (200, Some("handled")) => handled += 1,
                told => assert_eq!(told, (200, Some("duplicate")), "{}", reference.name),
            }
        }
        assert_eq!(handled, 1, "{}", reference.name);
        assert_eq!(process.stop().await.stdout, [pulled_line("evt_1")], "{}", reference.name);
    }
}

/// Events that are handled though their data is missing, or of a form that is not known.
const ODD: [(&str, &str); 4] = [
    ("datapoint.pulled", r#"{"id":"evt_1","type":"datapoint.pulled"}"#),
    ("webhook.test", r#"{"id":"evt_2","type":"webhook.test","data":[1e400]}"#),
    ("datapoint.pulled", r#"{"id":"evt_3","type":"datapoint.pulled","data":{"unit":"new"}}"#),
    ("webhook.test", r#"{"id":"\"\\\/<evt>","type":"webhook.test"}"#),
];

/// Exactly one JSON line for each run of a handler and nothing else; events with odd data, or none,
/// are run like others.
#[tokio::test]
async fn standard_output_holds_one_json_line_for_each_run() {
    for reference in &REFERENCES {
        let (name, process) = (reference.name, reference.start().await);
        let mut expected = Vec::new();
        for fixture in fixtures() {
            let endpoint = fixture.sender().name().to_ascii_lowercase();
            let request = if endpoint == "circa" { circa(fixture.body()) } else { circularo(fixture.body()) };
            for outcome in ["handled", "duplicate"] {
                let answer = request.send(process.address).await;
                assert_eq!(answer.told(), (200, Some(outcome)), "{name} {}", fixture.name());
            }
            expected.push((endpoint, fixture.event_type().to_owned()));
        }
        for (event_type, body) in ODD {
            let answer = circa(body).send(process.address).await;
            assert_eq!(answer.told(), (200, Some("handled")), "{name} {body}");
            expected.push(("circa".to_owned(), event_type.to_owned()));
        }
        let unknown = circa(r#"{"id":"evt_4","type":"brand.new"}"#);
        for request in [unknown, circularo(r#"{"documentId":"1","event":"documentEaten"}"#)] {
            let answer = request.send(process.address).await;
            assert_eq!(answer.told(), (200, Some("ignored")), "{name}: {answer:?}");
        }
        let health = Request::post("/healthz").method("GET").send(process.address).await;
        assert_eq!((health.status, &*health.body), (200, "ok"), "{name}");

        let printed = process.stop().await.stdout;
        let lines: Vec<serde_json::Value> =
            printed.iter().map(|line| serde_json::from_str(line).expect(line)).collect();
        let text = |line: &serde_json::Value, field: &str| line[field].as_str().unwrap().to_owned();
        let kinds: Vec<_> = lines.iter().map(|line| (text(line, "endpoint"), text(line, "type"))).collect();
        assert_eq!(kinds, expected, "{name}");
        assert!(lines.iter().all(|line| line.as_object().unwrap().len() == 3), "{name}: {printed:?}");
        assert_eq!(text(&lines[lines.len() - 1], "id"), r#""\/<evt>"#, "{name}");
    }
}
