//! The envelope of Circularo.

use sha2::{Digest, Sha256};

use super::{CIRCA, CIRCULARO, assert_rows, body, circularo, with};

/// Contract, section 5: Circularo's `event` and `documentId`; `actor` and `timestamp` may be
/// missing, null, string or number.
#[test]
fn circularo_fields() {
    let long = |len| format!("\"{}\"", "t".repeat(len));
    let rows: Vec<(&str, &str, Option<String>, bool)> = vec![
        ("event", "event", Some(r#""documentSigned""#.into()), true),
        ("event not known", "event", Some(r#""no.such-event_9""#.into()), true),
        ("event of 128 bytes", "event", Some(long(128)), true),
        ("event of 129 bytes", "event", Some(long(129)), false),
        ("event empty", "event", Some(r#""""#.into()), false),
        ("event with a space", "event", Some(r#""document signed""#.into()), false),
        ("event null", "event", Some("null".into()), false),
        ("event number", "event", Some("1".into()), false),
        ("event absent", "event", None, false),
        ("documentId of 1 character", "documentId", Some(r#""1""#.into()), true),
        ("documentId of 10,000 characters", "documentId", Some(long(10_000)), true),
        ("documentId not ASCII", "documentId", Some("\"é ü\"".into()), true),
        ("documentId empty", "documentId", Some(r#""""#.into()), false),
        ("documentId null", "documentId", Some("null".into()), false),
        ("documentId number", "documentId", Some("1".into()), false),
        ("documentId absent", "documentId", None, false),
        ("actor string", "actor", Some(r#""mary""#.into()), true),
        ("actor empty", "actor", Some(r#""""#.into()), true),
        ("actor number", "actor", Some("17".into()), true),
        ("actor null", "actor", Some("null".into()), true),
        ("actor absent", "actor", None, true),
        ("actor object", "actor", Some(r#"{"name":"mary"}"#.into()), true),
        ("actor array", "actor", Some(r#"["mary"]"#.into()), true),
        ("actor boolean", "actor", Some("true".into()), true),
        ("timestamp string", "timestamp", Some(r#""yesterday""#.into()), true),
        ("timestamp number", "timestamp", Some("1717247410500".into()), true),
        ("timestamp fraction", "timestamp", Some("-1.5e3".into()), true),
        ("timestamp beyond a double", "timestamp", Some("1e400".into()), true),
        ("timestamp null", "timestamp", Some("null".into()), true),
        ("timestamp absent", "timestamp", None, true),
        ("timestamp object", "timestamp", Some("{}".into()), true),
        ("timestamp array", "timestamp", Some("[1]".into()), true),
        ("timestamp boolean", "timestamp", Some("false".into()), true),
    ];
    let rows =
        rows.into_iter().map(|(name, key, value, valid)| (name, body(&CIRCULARO, key, value.as_deref()).into(), valid));
    let more = [
        (
            "unknown fields, the other sender's among them",
            with(&CIRCULARO, r#""id":1,"type":{},"livemode":"no""#),
            true,
        ),
        ("documentId twice", with(&CIRCULARO, r#""documentId":"cd47142b""#), false),
        ("documentId twice, once escaped", with(&CIRCULARO, r#""document\u0049d":"x""#), false),
        ("actor twice", with(&CIRCULARO, r#""actor":null"#), false),
        ("the other sender's event", body(&CIRCA, "id", Some(r#""evt_1""#)), false),
        ("array", "[]".to_owned(), false),
        ("BOM", format!("\u{feff}{}", with(&CIRCULARO, r#""x":1"#)), false),
    ];
    assert_rows(circularo, rows.chain(more.map(|(name, body, valid)| (name, body.into(), valid))));
}

/// Contract, section 5: kept as they came, with typed accessors; the event id is the SHA-256 of the
/// body, in hex.
#[test]
fn what_is_kept_of_circularo() {
    let text = |value: Option<&str>| {
        let event = circularo(body(&CIRCULARO, "actor", value)).unwrap();
        event.actor().map(|actor| actor.as_str().to_owned())
    };
    let cases = [
        (Some(r#""mary""#), Some("mary")),
        (Some(r#""m\u00e1ry""#), Some("máry")),
        (Some("-17"), Some("-17")),
        (Some("1e400"), Some("1e400")),
        (Some("null"), None),
        (None, None),
    ];
    for (value, kept) in cases {
        assert_eq!(text(value).as_deref(), kept, "{value:?}");
    }
    let good = body(&CIRCULARO, "timestamp", Some("1717247410.50"));
    let event = circularo(&good).unwrap();
    assert_eq!((event.document_id(), event.event_type()), (Some("cd47142b"), "documentSigned"));
    assert_eq!(event.timestamp().unwrap().as_str(), "1717247410.50");
    assert_eq!((event.livemode(), event.created(), event.team_id(), event.raw_data()), (None, None, None, None));
    let digest: String = Sha256::digest(&good).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(event.id(), digest);
    assert_ne!(circularo(format!("{good} ")).unwrap().id(), digest, "one byte more is another event");
}
