//! Deliveries over HTTP/2, many at once, and what the receivers print of them.

use circa_receiver::testing::{CircaSigner, CircularoSigner, fixtures};
use tokio::task::JoinSet;

use super::CIRCA;
use crate::support::{CIRCA_SECRET, CIRCULARO_SECRET, REFERENCES, Request, circa, event, pulled_line};

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
async fn a_hundred_identical_deliveries_at_once_run_the_handler_once() {
    for reference in &REFERENCES {
        let process = reference.start().await;
        let request = circa(event("evt_1"));
        let mut senders = JoinSet::new();
        for _ in 0..100 {
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

/// Exactly one JSON line for each run of a handler and nothing else; events with odd data, or none, are
/// run like others.
#[tokio::test]
async fn standard_output_holds_one_json_line_for_each_run() {
    for reference in &REFERENCES {
        let process = reference.start().await;
        let mut expected = Vec::new();
        let circularo = |body: &str| {
            let signature = CircularoSigner::new(CIRCULARO_SECRET).sign(body.as_bytes());
            Request::post("/webhooks/circularo").header("x-circularo-signature", signature).body(body)
        };
        for fixture in fixtures() {
            let endpoint = fixture.sender().name().to_ascii_lowercase();
            let request = if endpoint == "circa" { circa(fixture.body()) } else { circularo(fixture.body()) };
            for outcome in ["handled", "duplicate"] {
                assert_eq!(
                    request.send(process.address).await.told(),
                    (200, Some(outcome)),
                    "{} {}",
                    reference.name,
                    fixture.name()
                );
            }
            expected.push((endpoint, fixture.event_type().to_owned()));
        }
        let odd = [
            ("no data", r#"{"id":"evt_1","type":"datapoint.pulled"}"#),
            ("data of another form", r#"{"id":"evt_2","type":"webhook.test","data":[1e400]}"#),
            ("an unknown unit", r#"{"id":"evt_3","type":"datapoint.pulled","data":{"unit":"new"}}"#),
            ("an id that needs escapes", r#"{"id":"\"\\\/<evt>","type":"webhook.test"}"#),
        ];
        for (name, body) in odd {
            assert_eq!(
                circa(body).send(process.address).await.told(),
                (200, Some("handled")),
                "{} {name}",
                reference.name
            );
            let event_type = if body.contains("webhook.test") { "webhook.test" } else { "datapoint.pulled" };
            expected.push(("circa".to_owned(), event_type.to_owned()));
        }
        let ignored = [
            ("circa", circa(r#"{"id":"evt_4","type":"brand.new"}"#)),
            ("circularo", circularo(r#"{"documentId":"1","event":"documentEaten"}"#)),
        ];
        for (name, request) in ignored {
            assert_eq!(request.send(process.address).await.told(), (200, Some("ignored")), "{} {name}", reference.name);
        }
        let health = Request::post("/healthz").method("GET").send(process.address).await;
        assert_eq!((health.status, &*health.body), (200, "ok"), "{}", reference.name);

        let printed = process.stop().await.stdout;
        let lines: Vec<serde_json::Value> =
            printed.iter().map(|line| serde_json::from_str(line).expect(line)).collect();
        let text = |line: &serde_json::Value, field: &str| line[field].as_str().unwrap().to_owned();
        let kinds: Vec<_> = lines.iter().map(|line| (text(line, "endpoint"), text(line, "type"))).collect();
        assert_eq!(kinds, expected, "{}", reference.name);
        assert!(lines.iter().all(|line| line.as_object().unwrap().len() == 3), "{}: {printed:?}", reference.name);
        assert_eq!(text(&lines[lines.len() - 1], "id"), r#""\/<evt>"#, "{}", reference.name);
    }
}
