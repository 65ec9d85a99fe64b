//! What crosses a socket: forged deliveries, bodies that are odd, large, cut off or late, floods, a stop, a bad start.
//!
//! The reference receivers run as processes. What needs a slow or failing handler runs in an app of its own: see `handlers_over_real_sockets.rs`.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::support::{
    Answer, CIRCA_SECRET, CIRCULARO_SECRET, REFERENCES, Request, circa, event, event_of_size, forged, pulled_line,
    read_answer,
};
use circa_receiver::testing::{CircaSigner, CircularoSigner, fixtures};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

const CIRCA: &str = "/webhooks/circa";
const MIB: usize = 1_024 * 1_024;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn signed_at(time: i64, body: &str) -> Request {
    Request::post(CIRCA)
        .header("Circa-Signature", CircaSigner::new(CIRCA_SECRET).sign(time, body.as_bytes()))
        .body(body)
}

/// Contract, section 1: "All 401 answers are byte-identical: same status, headers and body (`unauthorized`), with no reason."
#[tokio::test]
async fn what_is_not_authentic_is_told_nothing_and_runs_nothing() {
    for reference in &REFERENCES {
        let mut process = reference.start().await;
        let body = event("evt_1");
        let cases = [
            ("forged", forged(&body), "signature_mismatch"),
            ("tampered", circa(body.clone()).body(body.replace("u_a13c", "u_evil")), "signature_mismatch"),
            ("stale", signed_at(now() - 310, &body), "timestamp_out_of_tolerance"),
            ("ahead", signed_at(now() + 310, &body), "timestamp_out_of_tolerance"),
            ("unsigned", Request::post(CIRCA).body(body.clone()), "missing_signature"),
            (
                "malformed",
                Request::post(CIRCA).header("Circa-Signature", "v1=1").body(body.clone()),
                "malformed_signature",
            ),
            (
                "1,025 bytes",
                Request::post(CIRCA).header("Circa-Signature", "v".repeat(1_025)).body(body.clone()),
                "malformed_signature",
            ),
            ("the other endpoint", Request::post("/webhooks/circularo").body(body.clone()), "missing_signature"),
        ];
        let expected = |headers: &[(&str, &str)]| Answer {
            status: 401,
            headers: headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: "unauthorized".to_owned(),
        };
        let [length, content_type] = [("content-length", "12"), ("content-type", "text/plain; charset=utf-8")];
        let http1 = expected(&[("connection", "close"), length, content_type]);
        let http2 = expected(&[length, content_type]);
        for (name, request, reason) in cases {
            assert_eq!(request.send(process.address).await, http1, "{} {name}", reference.name);
            assert_eq!(process.reason().await, reason, "{} {name}", reference.name);
            assert_eq!(request.send_http2(process.address).await, http2, "{} {name}", reference.name);
            assert_eq!(process.reason().await, reason, "{} {name}", reference.name);
        }
        // The id was never recorded: the authentic event is the first of its name.
        assert_eq!(circa(body).send(process.address).await.told(), (200, Some("handled")), "{}", reference.name);
        assert_eq!(process.stop().await.stdout, [pulled_line("evt_1")], "{}", reference.name);
    }
}

#[tokio::test]
async fn bodies_of_any_framing_and_size_are_handled() {
    for reference in &REFERENCES {
        let process = reference.start().await;
        let cases = [
            ("with its length", circa(event("evt_1"))),
            ("in chunks of one byte", circa(event("evt_2")).chunked(1)),
            ("in chunks of seven bytes", circa(event("evt_3")).chunked(7)),
            ("300 KB", circa(event_of_size("evt_4", 300_000))),
            ("300 KB in chunks", circa(event_of_size("evt_5", 300_000)).chunked(1_000)),
            ("exactly 1 MiB", circa(event_of_size("evt_6", MIB))),
            ("exactly 1 MiB in chunks", circa(event_of_size("evt_7", MIB)).chunked(60_000)),
        ];
        let mut expected = Vec::new();
        for (at, (name, request)) in cases.into_iter().enumerate() {
            let answer = request.send(process.address).await;
            assert_eq!(answer.told(), (200, Some("handled")), "{} {name}: {answer:?}", reference.name);
            expected.push(pulled_line(&format!("evt_{}", at + 1)));
        }
        let answer = circa(event_of_size("evt_8", MIB)).send_http2(process.address).await;
        assert_eq!(answer.told(), (200, Some("handled")), "{} HTTP/2: {answer:?}", reference.name);
        expected.push(pulled_line("evt_8"));
        assert_eq!(process.stop().await.stdout, expected, "{}", reference.name);
    }
}

/// Contract, section 1, check 6: "body within the limit (default 1 MiB), counted in bytes read; a larger `Content-Length` is refused unread".
#[tokio::test]
async fn bodies_over_the_limit_are_refused() {
    for reference in &REFERENCES {
        let mut process = reference.start().await;
        let (body, one_more) = (event_of_size("evt_1", 3_000_000), event_of_size("evt_1", MIB + 1));
        let cases = [
            ("3 MB with its length", circa(body.clone())),
            ("3 MB in chunks", circa(body.clone()).chunked(64 * 1_024)),
            ("one byte more with its length", circa(one_more.clone())),
            ("one byte more in chunks", circa(one_more).chunked(64 * 1_024)),
        ];
        for (name, request) in cases {
            let answer = request.send(process.address).await;
            assert_eq!((answer.status, &*answer.body), (413, "payload too large"), "{} {name}", reference.name);
            assert_eq!(process.reason().await, "payload_too_large", "{} {name}", reference.name);
        }
        let answer = circa(body.clone()).send_http2(process.address).await;
        assert_eq!((answer.status, &*answer.body), (413, "payload too large"), "{} HTTP/2", reference.name);

        // Unread: the answer comes though not one byte of the body was sent.
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        stream.write_all(&circa(body).head()).await.unwrap();
        let answer = read_answer(&mut stream).await.expect("an answer");
        assert_eq!(answer.status, 413, "{} unread", reference.name);
        assert_eq!(process.stop().await.stdout.len(), 0, "{}", reference.name);
    }
}

/// Contract, section 1, check 8: "body arrived complete". Whether an answer still gets out after the sender has hung up is the server's affair.
#[tokio::test]
async fn truncated_bodies_run_nothing() {
    for reference in &REFERENCES {
        let mut process = reference.start().await;
        for (name, request) in
            [("with its length", circa(event("evt_1"))), ("in chunks", circa(event("evt_1")).chunked(50))]
        {
            let bytes = [request.head(), request.framed_body()].concat();
            let mut stream = TcpStream::connect(process.address).await.unwrap();
            stream.write_all(&bytes[..bytes.len() - 10]).await.unwrap();
            stream.shutdown().await.unwrap();
            if let Some(answer) = read_answer(&mut stream).await {
                assert_eq!((answer.status, &*answer.body), (400, "bad request"), "{} {name}", reference.name);
            }
            assert_eq!(process.reason().await, "body_incomplete", "{} {name}", reference.name);
        }
        assert_eq!(
            circa(event("evt_1")).send(process.address).await.told(),
            (200, Some("handled")),
            "{}",
            reference.name
        );
        assert_eq!(process.stop().await.stdout, [pulled_line("evt_1")], "{}", reference.name);
    }
}

/// Contract, section 1, check 7: "whole body within the read deadline (default 10 s in all, not per chunk)". Takes the real ten seconds.
#[tokio::test]
async fn a_stalled_body_is_answered_408_at_the_read_deadline() {
    for reference in &REFERENCES {
        let mut process = reference.start().await;
        let request = circa(event("evt_1"));
        let start = Instant::now();
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        writer.write_all(&request.head()).await.unwrap();
        // A byte now and then does not help.
        let drip = async {
            let mut every = tokio::time::interval(Duration::from_millis(500));
            for byte in request.framed_body() {
                every.tick().await;
                let _ = writer.write_all(&[byte]).await;
            }
        };
        let answer = tokio::select! {
            answer = read_answer(&mut reader) => answer.expect("an answer"),
            () = drip => panic!("{}: the body was taken though it was late", reference.name),
        };
        assert_eq!((answer.status, &*answer.body), (408, "request timeout"), "{}", reference.name);
        let took = start.elapsed();
        assert!((9..14).contains(&took.as_secs()), "{}: after {took:?}", reference.name);
        assert_eq!(process.reason().await, "body_read_timeout", "{}", reference.name);
        assert_eq!(process.stop().await.stdout.len(), 0, "{}", reference.name);
    }
}

/// What the HTTP server refuses by itself is its own affair; it must refuse, and live.
#[tokio::test]
async fn floods_of_headers_are_refused() {
    for reference in &REFERENCES {
        let process = reference.start().await;
        let many = (0..1_000).fold(circa(event("evt_1")), |request, n| request.header(&format!("X-{n}"), "x"));
        let long = circa(event("evt_1")).header("X-Long", "x".repeat(MIB));
        for (name, request) in [("many", many), ("long", long)] {
            if let Some(answer) = request.try_send(process.address).await {
                assert!((400..500).contains(&answer.status), "{} {name}: {answer:?}", reference.name);
            }
        }
        assert_eq!(
            circa(event("evt_1")).send(process.address).await.told(),
            (200, Some("handled")),
            "{}",
            reference.name
        );
        assert_eq!(process.stop().await.stdout, [pulled_line("evt_1")], "{}", reference.name);
    }
}

/// Contract, section 1, check 3: "two or more field lines"; HTTP/2 may send one header as several fields.
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

/// Exactly one JSON line for each run of a handler and nothing else; events with odd data, or none, are run like others.
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

/// Contract, section 4: "Several secrets rotate: any may match".
#[tokio::test]
async fn the_old_secret_is_accepted_while_it_is_configured() {
    for reference in &REFERENCES {
        let new = "whsec_c0ffee00112233445566778899aabbcc";
        let both = [("CIRCA_WEBHOOK_SECRET", new), ("CIRCA_WEBHOOK_SECRET_OLD", CIRCA_SECRET)];
        for (environment, status_of_old) in [(&both[..], 200), (&both[..1], 401)] {
            let process = reference.start_with(environment).await;
            assert_eq!(circa(event("evt_1")).send(process.address).await.status, status_of_old, "{}", reference.name);
            let body = event("evt_2");
            let signature = CircaSigner::new(new).sign_now(body.as_bytes());
            let request = Request::post(CIRCA).header("Circa-Signature", signature).body(body);
            assert_eq!(request.send(process.address).await.status, 200, "{}", reference.name);
            // Without its secret, Circularo is not served, and standard error says so.
            assert!(process.before.iter().any(|line| line.contains("CIRCULARO_HMAC_SECRET")), "{}", reference.name);
            let circularo = Request::post("/webhooks/circularo").send(process.address).await;
            assert_eq!(circularo.status, 404, "{}", reference.name);
            assert_eq!(process.stop().await.code, Some(0), "{}", reference.name);
        }
    }
}

/// Contract, section 4: refused "with an error that says what to do".
#[tokio::test]
async fn a_bad_start_says_what_to_do_in_one_line() {
    let not_utf8 = |byte| OsString::from_vec([&[byte; 20][..], b" "].concat());
    let (circa, old, circularo) = ("CIRCA_WEBHOOK_SECRET", "CIRCA_WEBHOOK_SECRET_OLD", "CIRCULARO_HMAC_SECRET");
    let good = || (circa, OsString::from(CIRCA_SECRET));
    type Environment = Vec<(&'static str, OsString)>;
    let cases: [(&str, Environment, &str); 10] = [
        ("none", vec![], "CIRCA_WEBHOOK_SECRET is not set: set it"),
        ("only Circularo's", vec![(circularo, CIRCULARO_SECRET.into())], "CIRCA_WEBHOOK_SECRET is not set: set it"),
        ("empty", vec![(circa, "".into())], "CIRCA_WEBHOOK_SECRET was refused"),
        ("bare prefix", vec![(circa, "whsec_".into())], "copy the whole secret"),
        ("trailing newline", vec![(circa, "whsec_0123456789abcdef\n".into())], "trim it"),
        ("short", vec![(circa, "whsec_01".into())], "use a longer one"),
        ("not UTF-8, white space", vec![(circa, not_utf8(0x80))], "trim it"),
        ("bad old one", vec![good(), (old, "".into())], "CIRCA_WEBHOOK_SECRET_OLD was refused"),
        ("bad Circularo's", vec![good(), (circularo, "short".into())], "CIRCULARO_HMAC_SECRET was refused"),
        ("the same for both", vec![good(), (circularo, CIRCA_SECRET.into())], "give each its own"),
    ];
    for reference in &REFERENCES {
        for (name, environment, message) in &cases {
            let ended = reference.refuse(environment).await;
            assert!(matches!(ended.code, Some(1 | 2)), "{} {name}: {ended:?}", reference.name);
            assert!(ended.stdout.is_empty(), "{} {name}: {ended:?}", reference.name);
            assert_eq!(ended.stderr.len(), 1, "{} {name}: {ended:?}", reference.name);
            assert!(ended.stderr[0].contains(message), "{} {name}: {ended:?}", reference.name);
            // Contract, section 4: errors never hold a secret.
            assert!(!ended.stderr[0].contains("0123456789abcdef"), "{} {name}: {ended:?}", reference.name);
        }
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let ended = reference.refuse(&[good(), ("BIND", address.clone().into())]).await;
        assert!(
            matches!(ended.code, Some(1 | 2)) && ended.stderr.iter().any(|line| line.contains(&address)),
            "{ended:?}"
        );
    }
}

/// Contract, section 8: "Shutdown: stop intake with 503, let running handlers end until the drain deadline".
#[tokio::test]
async fn a_signal_drains_and_ends_with_0() {
    for reference in &REFERENCES {
        for name in ["TERM", "INT"] {
            let mut process = reference.start().await;
            // Three open connections: one idle after an answer, one that never said a word, one half-way through its body.
            let mut idle = TcpStream::connect(process.address).await.unwrap();
            let first = circa(event("evt_1"));
            idle.write_all(&[first.head(), first.framed_body()].concat()).await.unwrap();
            assert_eq!(read_answer(&mut idle).await.unwrap().told(), (200, Some("handled")), "{}", reference.name);
            let _silent = TcpStream::connect(process.address).await.unwrap();
            let second = circa(event("evt_2")).header("Expect", "100-continue");
            let mut half = TcpStream::connect(process.address).await.unwrap();
            half.write_all(&second.head()).await.unwrap();
            // The server asks for the body when the receiver begins to read it: now the request is in flight.
            let mut go_on = [0; 25];
            half.read_exact(&mut go_on).await.unwrap();
            assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n", "{}", reference.name);

            let start = Instant::now();
            process.signal(name).await;
            process.stopping().await;
            half.write_all(&second.framed_body()).await.unwrap();
            let answer = read_answer(&mut half).await.expect("an answer during the drain");
            assert_eq!((answer.status, &*answer.body), (503, "service unavailable"), "{} {name}", reference.name);
            let ended = process.end().await;
            assert_eq!(
                (ended.code, &ended.stdout[..]),
                (Some(0), &[pulled_line("evt_1")][..]),
                "{} {name}: {ended:?}",
                reference.name
            );
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{} {name}: idle connections do not hold up the end",
                reference.name
            );
        }
    }
}

/// The secret in the environment is its bytes, UTF-8 or not.
#[tokio::test]
async fn a_secret_that_is_not_utf8_works() {
    for reference in &REFERENCES {
        let secret: Vec<u8> = (0x80..0xa0).collect();
        let process = reference.start_with(&[("CIRCA_WEBHOOK_SECRET", OsString::from_vec(secret.clone()))]).await;
        let body = event("evt_1");
        let signature = CircaSigner::new(&secret).sign_now(body.as_bytes());
        let answer = Request::post(CIRCA).header("Circa-Signature", signature).body(body).send(process.address).await;
        assert_eq!(answer.told(), (200, Some("handled")), "{}", reference.name);
    }
}
