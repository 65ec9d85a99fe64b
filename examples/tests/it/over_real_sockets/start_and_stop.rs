//! A bad start, and a stop.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{CIRCA_SECRET, CIRCULARO_SECRET, REFERENCES, circa, event, pulled_line, read_answer};

/// The references', and the receivers' by default.
const DRAIN_DEADLINE: Duration = Duration::from_secs(30);

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
        ("empty", vec![(circa, "".into())], "CIRCA_WEBHOOK_SECRET is not set: set it"),
        ("bare prefix", vec![(circa, "whsec_".into())], "copy the whole secret"),
        ("trailing newline", vec![(circa, "whsec_0123456789abcdef\n".into())], "trim it"),
        ("short", vec![(circa, "whsec_01".into())], "use a longer one"),
        ("not UTF-8, white space", vec![(circa, not_utf8(0x80))], "trim it"),
        ("bad old one", vec![good(), (old, "short".into())], "CIRCA_WEBHOOK_SECRET_OLD was refused"),
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

/// Contract, section 8: "Shutdown: stop intake with 503, let running handlers end until the drain
/// deadline".
#[tokio::test]
async fn a_signal_drains_and_ends_with_0() {
    for reference in &REFERENCES {
        for name in ["TERM", "INT"] {
            let mut process = reference.start().await;
            // Three open connections: one idle after an answer, one that never said a word, one
            // half-way through its body.
            let mut idle = TcpStream::connect(process.address).await.unwrap();
            let first = circa(event("evt_1"));
            idle.write_all(&[first.head(), first.framed_body()].concat()).await.unwrap();
            assert_eq!(read_answer(&mut idle).await.unwrap().told(), (200, Some("handled")), "{}", reference.name);
            let _silent = TcpStream::connect(process.address).await.unwrap();
            let second = circa(event("evt_2")).header("Expect", "100-continue");
            let mut half = TcpStream::connect(process.address).await.unwrap();
            half.write_all(&second.head()).await.unwrap();
            // The server asks for the body when the receiver begins to read it: now the request is
            // in flight.
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
            // Idle connections do not hold up the end. Where they do, the process closes them at
            // its deadline, and says so.
            assert!(
                ended.stderr.iter().all(|line| !line.contains("still open")),
                "{} {name}: {ended:?}",
                reference.name
            );
            assert!(start.elapsed() < DRAIN_DEADLINE, "{} {name}: after {:?}", reference.name, start.elapsed());
        }
    }
}
