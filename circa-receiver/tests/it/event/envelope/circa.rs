//! The envelope of Circa: its fields, its data, and the unsigned headers beside it.

use circa_receiver::Rejection;

use super::{CIRCA, Headers, assert_rows, body, circa, circa_beside};

/// Contract, section 5: each known field of Circa, its type and its bounds. What neither identifies
/// nor routes costs no event.
#[test]
fn circa_fields() {
    let quoted = |content: &str| format!("\"{content}\"");
    let id = |len| quoted(&"i".repeat(len));
    let event_type = |len| quoted(&"t".repeat(len));
    let visible: String = ('!'..='~').filter(|c| !['"', '\\'].contains(c)).collect();
    let rows: Vec<(&str, &str, Option<String>, bool)> = vec![
        ("id of 1 byte", "id", Some(id(1)), true),
        ("id of 255 bytes", "id", Some(id(255)), true),
        ("id of 256 bytes", "id", Some(id(256)), false),
        ("id empty", "id", Some(id(0)), false),
        ("id of all visible ASCII", "id", Some(quoted(&visible)), true),
        ("id of escaped quote and backslash", "id", Some(r#""\"\\""#.into()), true),
        ("id of 255 characters, escaped", "id", Some(quoted(&"\\u0069".repeat(255))), true),
        ("id of 256 characters, escaped", "id", Some(quoted(&"\\u0069".repeat(256))), false),
        ("id with a space", "id", Some(r#""evt 1""#.into()), false),
        ("id with a space, escaped", "id", Some(r#""evt\u00201""#.into()), false),
        ("id with a line feed, escaped", "id", Some(r#""evt_1\n""#.into()), false),
        ("id with NUL, escaped", "id", Some(r#""evt\u0000""#.into()), false),
        ("id with DEL", "id", Some("\"evt\u{7f}\"".into()), false),
        ("id not ASCII", "id", Some("\"evt_é\"".into()), false),
        ("id not ASCII, escaped", "id", Some(r#""evt_\u00e9""#.into()), false),
        ("id with a lone surrogate", "id", Some(r#""evt_\ud800""#.into()), false),
        ("id null", "id", Some("null".into()), false),
        ("id number", "id", Some("1".into()), false),
        ("id boolean", "id", Some("true".into()), false),
        ("id object", "id", Some("{}".into()), false),
        ("id array", "id", Some(r#"["evt_1"]"#.into()), false),
        ("id absent", "id", None, false),
        ("type of 1 byte", "type", Some(event_type(1)), true),
        ("type of 128 bytes", "type", Some(event_type(128)), true),
        ("type of 129 bytes", "type", Some(event_type(129)), false),
        ("type empty", "type", Some(event_type(0)), false),
        ("type of every kind of character", "type", Some(r#""AZaz09_.-""#.into()), true),
        ("type escaped", "type", Some(r#""webhook\u002etest""#.into()), true),
        ("type not known", "type", Some(r#""no.such.type""#.into()), true),
        ("type with a space", "type", Some(r#""webhook test""#.into()), false),
        ("type with a slash", "type", Some(r#""webhook/test""#.into()), false),
        ("type with a line feed, escaped", "type", Some(r#""webhook.test\n""#.into()), false),
        ("type not ASCII", "type", Some("\"webhook.tést\"".into()), false),
        ("type null", "type", Some("null".into()), false),
        ("type number", "type", Some("1".into()), false),
        ("type array", "type", Some("[]".into()), false),
        ("type absent", "type", None, false),
        ("created 0", "created", Some("0".into()), true),
        ("created 1", "created", Some("1".into()), true),
        ("created -1", "created", Some("-1".into()), true),
        ("created i64::MAX", "created", Some(i64::MAX.to_string()), true),
        ("created i64::MIN", "created", Some(i64::MIN.to_string()), true),
        ("created 1.0", "created", Some("1.0".into()), true),
        ("created 1e3", "created", Some("1e3".into()), true),
        ("created string", "created", Some(r#""1""#.into()), true),
        ("created null", "created", Some("null".into()), true),
        ("created boolean", "created", Some("true".into()), true),
        ("created array", "created", Some("[1]".into()), true),
        ("created absent", "created", None, true),
        ("livemode true", "livemode", Some("true".into()), true),
        ("livemode false", "livemode", Some("false".into()), true),
        ("livemode string", "livemode", Some(r#""true""#.into()), true),
        ("livemode 1", "livemode", Some("1".into()), true),
        ("livemode 0", "livemode", Some("0".into()), true),
        ("livemode null", "livemode", Some("null".into()), true),
        ("livemode object", "livemode", Some("{}".into()), true),
        ("livemode absent", "livemode", None, true),
        ("teamId", "teamId", Some(r#""4b6f9c28""#.into()), true),
        ("teamId empty", "teamId", Some(r#""""#.into()), true),
        ("teamId not ASCII", "teamId", Some("\"équipe\"".into()), true),
        ("teamId null", "teamId", Some("null".into()), true),
        ("teamId number", "teamId", Some("1".into()), true),
        ("teamId object", "teamId", Some("{}".into()), true),
        ("teamId absent", "teamId", None, true),
        ("data absent", "data", None, true),
    ];
    let rows =
        rows.into_iter().map(|(name, key, value, valid)| (name, body(&CIRCA, key, value.as_deref()).into(), valid));
    assert_rows(circa, rows);
}

/// Contract, section 5: missing `created`, `livemode`, `teamId` and `data` are absent, not empty.
#[test]
fn what_is_kept_of_circa() {
    let event = circa(body(&CIRCA, "created", Some("-1"))).unwrap();
    assert_eq!((event.id(), event.event_type(), event.created()), ("evt_1", "datapoint.pulled", Some(-1)));
    assert_eq!((event.livemode(), event.team_id(), event.raw_data()), (Some(true), Some("team"), Some(&b"{}"[..])));
    let event = circa(r#"{"type":"\u0074","id":"\u0022\/"}"#).unwrap();
    assert_eq!((event.id(), event.event_type()), ("\"/", "t"));
    assert_eq!((event.created(), event.livemode(), event.team_id(), event.raw_data()), (None, None, None, None));
    assert_eq!((event.document_id(), event.actor(), event.timestamp()), (None, None, None));
    let event = circa(body(&CIRCA, "teamId", Some(r#""\u00e9quipe""#))).unwrap();
    assert_eq!(event.team_id(), Some("équipe"));
}

/// Contract, section 5: an integral float is an integer; one that is rounded to an integer is not.
#[test]
fn created_is_read_from_integral_floats() {
    let cases = [
        ("1747000800.0", Some(1_747_000_800)),
        ("1.7470008e9", Some(1_747_000_800)),
        ("-0", Some(0)),
        ("9007199254740991.0", Some(9_007_199_254_740_991)),
        ("9007199254740993.0", None),
        ("9223372036854775808", None),
        ("0.5", None),
        ("1e400", None),
    ];
    for (json, created) in cases {
        assert_eq!(circa(body(&CIRCA, "created", Some(json))).unwrap().created(), created, "{json}");
    }
}

/// Contract, section 5: `data` any JSON, kept raw and byte-exact; inside `data` duplicate keys
/// pass.
#[test]
fn data_is_kept_byte_for_byte() {
    let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
    let brackets = format!("\"{}\\\"{}\"", "[{".repeat(500), "[".repeat(500));
    let values = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1e400",
        "-1E+400",
        "123456789012345678901234567890",
        "0.1000000000000000055511151231257827021181583404541015625",
        r#""""#,
        r#""text é \u00e9 \/""#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#"{"\ud800":"\udfff"}"#,
        r#"{"a":1,"a":2,"\u0061":3}"#,
        r#"{"id":"evt_2","type":"webhook.test"}"#,
        "[]",
        "{}",
        "[ 1 ,\t{ \"a\" : [ ] }\r\n]",
        &deep,
        &brackets,
    ];
    for value in values {
        let event = circa(body(&CIRCA, "data", Some(value))).unwrap_or_else(|rejection| panic!("{value}: {rejection}"));
        assert_eq!(event.raw_data(), Some(value.as_bytes()), "{value}");
        assert_eq!((event.id(), event.event_type()), ("evt_1", "datapoint.pulled"), "{value}");
    }
    let padded = circa("{\"data\" \t:\r\n {\"a\":1} \n,\"id\":\"evt_1\",\"type\":\"t\"}").unwrap();
    assert_eq!(padded.raw_data(), Some(&b"{\"a\":1}"[..]), "the white space around a value is not part of it");
}

/// Contract, section 5: `data` is JSON; what is not is malformed although nobody may ever read it.
#[test]
fn data_must_be_json() {
    let too_deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    let values: [(&str, &[u8]); 17] = [
        ("nothing", b""),
        ("NaN", b"NaN"),
        ("Infinity", b"-Infinity"),
        ("leading zero", b"01"),
        ("plus", b"+1"),
        ("bare point", b"1."),
        ("hexadecimal", b"0x1"),
        ("single quotes", b"'a'"),
        ("bare word", b"undefined"),
        ("unknown escape", br#""\x41""#),
        ("short escape", br#""\u12""#),
        ("raw line feed in a string", b"\"a\nb\""),
        ("raw NUL in a string", b"\"a\0b\""),
        ("trailing comma", b"[1,]"),
        ("comment", b"1/**/"),
        ("not UTF-8", b"\"\xff\""),
        ("129 levels", too_deep.as_bytes()),
    ];
    let good = body(&CIRCA, "data", Some("#"));
    let (before, after) = good.split_once('#').unwrap();
    let rows =
        values.into_iter().map(|(name, value)| (name, [before.as_bytes(), value, after.as_bytes()].concat(), false));
    assert_rows(circa, rows);
}

/// Contract, section 6: where present, the unsigned headers equal the signed id and type, byte for
/// byte, one field line each.
#[test]
fn unsigned_headers_agree_with_the_body() {
    let good = body(&CIRCA, "id", Some(r#""evt_\u0031""#));
    let rows: &[(&str, Headers<'_>, bool)] = &[
        ("absent", &[], true),
        ("both equal", &[("Circa-Event-Id", b"evt_1"), ("Circa-Event", b"datapoint.pulled")], true),
        ("id equal, name in lower case", &[("circa-event-id", b"evt_1")], true),
        ("id different, name in upper case", &[("CIRCA-EVENT-ID", b"evt_2")], false),
        ("id as it is escaped in the body", &[("Circa-Event-Id", br"evt_\u0031")], false),
        ("id in other case", &[("Circa-Event-Id", b"EVT_1")], false),
        ("id longer", &[("Circa-Event-Id", b"evt_11")], false),
        ("id shorter", &[("Circa-Event-Id", b"evt_")], false),
        ("id empty", &[("Circa-Event-Id", b"")], false),
        ("id not UTF-8", &[("Circa-Event-Id", b"evt_1\xff")], false),
        ("id list", &[("Circa-Event-Id", b"evt_1, evt_1")], false),
        ("id twice, equal", &[("Circa-Event-Id", b"evt_1"), ("circa-event-id", b"evt_1")], false),
        ("id twice, second different", &[("Circa-Event-Id", b"evt_1"), ("Circa-Event-Id", b"evt_2")], false),
        (
            "id three times",
            &[("Circa-Event-Id", b"evt_1"), ("Circa-Event-Id", b"x"), ("Circa-Event-Id", b"evt_1")],
            false,
        ),
        ("type equal", &[("Circa-Event", b"datapoint.pulled")], true),
        ("type different", &[("Circa-Event", b"webhook.test")], false),
        ("type in other case", &[("Circa-Event", b"Datapoint.Pulled")], false),
        ("type a prefix", &[("Circa-Event", b"datapoint")], false),
        ("type empty", &[("Circa-Event", b"")], false),
        ("type twice, equal", &[("Circa-Event", b"datapoint.pulled"), ("Circa-Event", b"datapoint.pulled")], false),
        ("id equal, type different", &[("Circa-Event-Id", b"evt_1"), ("Circa-Event", b"webhook.test")], false),
        (
            "labels are never compared",
            &[("Circa-Webhook-Id", b"\xff"), ("User-Agent", b""), ("X-Forwarded-For", b"x")],
            true,
        ),
        ("labels twice", &[("Circa-Webhook-Id", b"wh_1"), ("Circa-Webhook-Id", b"wh_2")], true),
        ("the other sender's signature", &[("x-circularo-signature", b"zz")], true),
    ];
    for (name, headers, agree) in rows {
        let end = circa_beside(headers, good.as_bytes());
        let expected = if *agree { Ok(()) } else { Err(Rejection::HeaderBodyMismatch) };
        assert_eq!(end.as_ref().map(drop).map_err(|rejection| *rejection), expected, "{name}");
        if let Ok(event) = end {
            assert_eq!((event.id(), event.event_type()), ("evt_1", "datapoint.pulled"), "{name}");
        }
    }
    // Contract, section 1: the envelope is check 11, the headers are check 12.
    let both_wrong = circa_beside(&[("Circa-Event-Id", b"evt_2")], b"{}");
    assert_eq!(both_wrong.map(drop).map_err(Rejection::reason), Err("malformed_payload"));
}

/// Contract, section 6: `Circa-Webhook-Id` is a label, escaped and capped at 64 characters.
#[test]
fn the_webhook_id_is_an_escaped_and_capped_label() {
    let good = body(&CIRCA, "data", Some("{}"));
    let long = [b'w'; 65];
    let many_escapes = [b'\n'; 64];
    let cases: [(&str, &[u8], &str); 6] = [
        ("plain", b"wh_1", "wh_1"),
        ("64 characters", &long[1..], &"w".repeat(64)),
        ("line feed and escape sequence", b"wh\n\x1b[31m", r"wh\n\u{1b}[31m"),
        ("quote", b"wh\"", "wh\\\""),
        ("65 characters", &long, &"w".repeat(64)),
        ("64 line feeds", &many_escapes, &"\\n".repeat(32)),
    ];
    for (name, value, label) in cases {
        let event = circa_beside(&[("Circa-Webhook-Id", value)], good.as_bytes()).unwrap();
        assert_eq!(event.webhook_id(), Some(label), "{name}");
    }
    let not_ascii = circa_beside(&[("Circa-Webhook-Id", b"\xff\xc3\xa9")], good.as_bytes()).unwrap();
    assert!(not_ascii.webhook_id().unwrap().is_ascii());
}
