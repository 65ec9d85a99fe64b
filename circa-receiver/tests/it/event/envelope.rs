//! The envelope, rule by rule: what a signed body must hold to be an event, what is kept of it, and what unsigned headers may say beside it.

use circa_receiver::{
    AnyEvent, Rejection, Secret, Verifier,
    testing::{CircaSigner, CircularoSigner},
};
use sha2::{Digest, Sha256};

const SECRET: &str = "whsec_test_0123456789abcdef";
const NOW: i64 = 1_747_000_800;

const CIRCA: [(&str, &str); 6] = [
    ("id", r#""evt_1""#),
    ("type", r#""datapoint.pulled""#),
    ("created", "1747000800"),
    ("livemode", "true"),
    ("teamId", r#""team""#),
    ("data", "{}"),
];

const CIRCULARO: [(&str, &str); 4] = [
    ("event", r#""documentSigned""#),
    ("documentId", r#""cd47142b""#),
    ("actor", r#""mary""#),
    ("timestamp", r#""2024-06-01T13:10:10.500Z""#),
];

/// The members of a good body, one of them with another value, or, with none, left out.
fn body(members: &[(&str, &str)], changed: &str, value: Option<&str>) -> String {
    assert!(members.iter().any(|(key, _)| *key == changed), "{changed} is no known field");
    let members: Vec<_> = members
        .iter()
        .filter_map(|(key, good)| Some((key, if *key == changed { value? } else { good })))
        .map(|(key, value)| format!("\"{key}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// A good body with more members at its end.
fn with(members: &[(&str, &str)], more: &str) -> String {
    let good = body(members, members[0].0, Some(members[0].1));
    format!("{},{more}}}", good.strip_suffix('}').unwrap())
}

fn circa_beside(headers: Headers<'_>, body: &[u8]) -> Result<AnyEvent, Rejection> {
    let signature = CircaSigner::new(SECRET).sign(NOW, body);
    let headers = headers.iter().copied().chain([("circa-signature", signature.as_bytes())]);
    let verifier = Verifier::circa(Secret::new(SECRET).unwrap());
    verifier.verify(headers, body.to_vec(), NOW).expect("the body is signed").event()
}

fn circa(body: impl AsRef<[u8]>) -> Result<AnyEvent, Rejection> {
    circa_beside(&[], body.as_ref())
}

fn circularo(body: impl AsRef<[u8]>) -> Result<AnyEvent, Rejection> {
    let body = body.as_ref().to_vec();
    let signature = CircularoSigner::new(SECRET).sign(&body);
    // The other sender's headers beside it say nothing here.
    let headers = [
        ("x-circularo-signature", signature.as_bytes()),
        ("circa-event-id", b"evt_other".as_slice()),
        ("circa-event", b""),
    ];
    let verifier = Verifier::circularo(Secret::new(SECRET).unwrap());
    verifier.verify(headers, body, NOW).expect("the body is signed").event()
}

/// Header fields, in order.
type Headers<'a> = &'a [(&'a str, &'a [u8])];

/// Fails with the names of all rows whose end is not the expected one.
fn assert_rows<'a>(
    parse: impl Fn(Vec<u8>) -> Result<AnyEvent, Rejection>,
    rows: impl IntoIterator<Item = (&'a str, Vec<u8>, bool)>,
) {
    let mut count = 0;
    let wrong: Vec<_> = rows
        .into_iter()
        .inspect(|_| count += 1)
        .filter_map(|(name, body, valid)| {
            let expected = if valid { Ok(()) } else { Err(Rejection::MalformedPayload) };
            let shown: String = String::from_utf8_lossy(&body).chars().take(160).collect();
            let end = parse(body).map(drop);
            (end != expected).then(|| format!("{name}: {end:?} for {shown}"))
        })
        .collect();
    assert!(count > 0 && wrong.is_empty(), "{} of {count} rows:\n{}", wrong.len(), wrong.join("\n"));
}

/// Contract, section 5: each known field of Circa, its type and its bounds; what may be absent.
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
        ("created 1.0", "created", Some("1.0".into()), false),
        ("created 1e3", "created", Some("1e3".into()), false),
        ("created string", "created", Some(r#""1""#.into()), false),
        ("created null", "created", Some("null".into()), false),
        ("created boolean", "created", Some("true".into()), false),
        ("created array", "created", Some("[1]".into()), false),
        ("created absent", "created", None, true),
        ("livemode true", "livemode", Some("true".into()), true),
        ("livemode false", "livemode", Some("false".into()), true),
        ("livemode string", "livemode", Some(r#""true""#.into()), false),
        ("livemode 1", "livemode", Some("1".into()), false),
        ("livemode 0", "livemode", Some("0".into()), false),
        ("livemode null", "livemode", Some("null".into()), false),
        ("livemode object", "livemode", Some("{}".into()), false),
        ("livemode absent", "livemode", None, true),
        ("teamId", "teamId", Some(r#""4b6f9c28""#.into()), true),
        ("teamId empty", "teamId", Some(r#""""#.into()), true),
        ("teamId not ASCII", "teamId", Some("\"équipe\"".into()), true),
        ("teamId null", "teamId", Some("null".into()), false),
        ("teamId number", "teamId", Some("1".into()), false),
        ("teamId object", "teamId", Some("{}".into()), false),
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

/// Contract, section 5: `data` any JSON, kept raw and byte-exact; inside `data` duplicate keys pass.
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

/// Contract, section 5: the body is one JSON object, UTF-8 throughout, no BOM, nothing after it; duplicate keys at the top level are refused.
#[test]
fn the_body_is_one_object() {
    let good = body(&CIRCA, "data", Some("{}"));
    let after = |end: &str| format!("{good}{end}").into_bytes();
    let before = |start: &[u8]| [start, good.as_bytes()].concat();
    let more = |members: &str| with(&CIRCA, members).into_bytes();
    let rows = [
        ("as it is", after(""), true),
        ("white space before", before(b" \t\r\n"), true),
        ("white space after", after(" \t\r\n"), true),
        ("BOM", before(b"\xef\xbb\xbf"), false),
        ("BOM behind white space", before(b" \xef\xbb\xbf"), false),
        ("form feed before", before(b"\x0c"), false),
        ("no-break space before", before("\u{a0}".as_bytes()), false),
        ("no-break space after", after("\u{a0}"), false),
        ("NUL after", after("\0"), false),
        ("word after", after("x"), false),
        ("comma after", after(","), false),
        ("brace after", after("}"), false),
        ("second object after", after("{}"), false),
        ("comment after", after("//"), false),
        ("bytes that are not UTF-8 after", [good.as_bytes(), b"\xff"].concat(), false),
        ("half a BOM of UTF-16", before(b"\xff\xfe"), false),
        ("UTF-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect(), false),
        ("empty", Vec::new(), false),
        ("white space only", b" \n".to_vec(), false),
        ("array", format!("[{good}]").into(), false),
        ("string", br#""evt_1""#.to_vec(), false),
        ("string that holds an object", serde_json::to_vec(&good).unwrap(), false),
        ("number", b"1".to_vec(), false),
        ("null", b"null".to_vec(), false),
        ("empty object", b"{}".to_vec(), false),
        ("not closed", good.as_bytes()[..good.len() - 1].to_vec(), false),
        ("trailing comma", good.replace("{}}", "{},}").into(), false),
        ("leading comma", good.replacen('{', "{,", 1).into(), false),
        ("two commas", good.replacen(',', ",,", 1).into(), false),
        ("no comma", good.replacen(',', " ", 1).into(), false),
        ("no colon", good.replacen(':', " ", 1).into(), false),
        ("number as a key", good.replacen('{', "{1:1,", 1).into(), false),
        ("list of bytes as a key", good.replacen('{', "{[120]:1,", 1).into(), false),
        ("null as a key", good.replacen('{', "{null:1,", 1).into(), false),
        ("unquoted key", good.replace("\"id\"", "id").into(), false),
        ("unknown fields of every type", more(r#""a":null,"b":1e400,"c":"\ud800","d":[{}],"":{"x":1,"x":2}"#), true),
        ("unknown field not UTF-8", [&good.as_bytes()[..good.len() - 1], b",\"x\":\"\xff\"}"].concat(), false),
        ("raw NUL in an unknown key", more("\"a\0b\":1"), false),
        ("raw unit separator in an unknown key", more("\"a\x1fb\":1"), false),
        ("raw unit separator in a string", body(&CIRCA, "teamId", Some("\"a\x1fb\"")).into(), false),
        ("raw delete in a string", body(&CIRCA, "teamId", Some("\"a\x7fb\"")).into(), true),
        ("raw line feed in an unknown key with an escape", more("\"\\u0061\nb\":1"), false),
        ("escaped line feed in an unknown key", more(r#""a\nb":1"#), true),
        ("unknown key with a lone surrogate", more(r#""\ud800":1"#), true),
        ("two unknown keys with different lone surrogates", more(r#""\ud800":1,"\ud801":2"#), true),
        ("the same lone surrogate twice", more(r#""\ud800":1,"\uD800":2"#), false),
        ("keys that differ by case", more(r#""ID":1,"Type":2,"teamid":3"#), true),
        ("id twice, equal", more(r#""id":"evt_1""#), false),
        ("id twice, different", more(r#""id":"evt_2""#), false),
        ("id twice, once escaped", more(r#""\u0069d":"evt_2""#), false),
        ("data twice", more(r#""data":{}"#), false),
        ("data twice, once escaped", more(r#""dat\u0061":{}"#), false),
        ("created twice", more(r#""created":1"#), false),
        ("teamId twice", more(r#""teamId":"team""#), false),
        ("livemode twice", more(r#""livemode":false"#), false),
        ("type twice", more(r#""type":"webhook.test""#), false),
        ("unknown key twice", more(r#""x":1,"y":2,"x":1"#), false),
        ("unknown key twice, once escaped", more(r#""é":1,"\u00e9":1"#), false),
        ("a key of data again at the top level", body(&CIRCA, "data", Some(r#"{"id":1}"#)).into(), true),
    ];
    assert_rows(circa, rows);
}

/// Contract, section 5: Circularo's `event` and `documentId`; `actor` and `timestamp` may be missing, null, string or number.
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
        ("actor object", "actor", Some(r#"{"name":"mary"}"#.into()), false),
        ("actor array", "actor", Some(r#"["mary"]"#.into()), false),
        ("actor boolean", "actor", Some("true".into()), false),
        ("timestamp string", "timestamp", Some(r#""yesterday""#.into()), true),
        ("timestamp number", "timestamp", Some("1717247410500".into()), true),
        ("timestamp fraction", "timestamp", Some("-1.5e3".into()), true),
        ("timestamp beyond a double", "timestamp", Some("1e400".into()), true),
        ("timestamp null", "timestamp", Some("null".into()), true),
        ("timestamp absent", "timestamp", None, true),
        ("timestamp object", "timestamp", Some("{}".into()), false),
        ("timestamp array", "timestamp", Some("[1]".into()), false),
        ("timestamp boolean", "timestamp", Some("false".into()), false),
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

/// Contract, section 5: kept as they came, with typed accessors; the event id is the SHA-256 of the body, in hex.
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

/// Contract, section 6: where present, the unsigned headers equal the signed id and type, byte for byte, one field line each.
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
    assert_eq!(both_wrong.map(drop), Err(Rejection::MalformedPayload));
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

#[cfg(feature = "receiver")]
mod modes {
    use circa_receiver::{HandlerError, Mode, Receiver, Routes, testing::FakeClock};

    use super::*;

    /// Contract, section 5: a missing `livemode` is accepted in mode `Any` and refused in `Live` and `Test`; section 1: the other mode's events are ignored.
    #[tokio::test]
    async fn livemode() {
        let handled = (200, "handled");
        let ignored = (200, "ignored");
        let refused = (400, "bad request");
        let cases = [
            ("any, live", Mode::Any, Some("true"), handled),
            ("any, test", Mode::Any, Some("false"), handled),
            ("any, missing", Mode::Any, None, handled),
            ("any, null", Mode::Any, Some("null"), refused),
            ("live, live", Mode::Live, Some("true"), handled),
            ("live, test", Mode::Live, Some("false"), ignored),
            ("live, missing", Mode::Live, None, refused),
            ("live, null", Mode::Live, Some("null"), refused),
            ("test, live", Mode::Test, Some("true"), ignored),
            ("test, test", Mode::Test, Some("false"), handled),
            ("test, missing", Mode::Test, None, refused),
            ("test, string", Mode::Test, Some(r#""false""#), refused),
        ];
        for (name, mode, livemode, expected) in cases {
            let builder = Receiver::circa(Secret::new(SECRET).unwrap());
            let receiver = builder.mode(mode).clock(FakeClock::at(NOW)).build().unwrap();
            let routes = Routes::new().fallback(async |_: AnyEvent, ()| -> Result<(), HandlerError> { Ok(()) });
            let body = body(&CIRCA, "livemode", livemode);
            let signature = CircaSigner::new(SECRET).sign(NOW, body.as_bytes());
            let headers = [("circa-signature", signature)];
            let response = receiver.handle(&("POST", &headers[..]), body, &routes, ()).await;
            assert_eq!((response.status(), response.body()), expected, "{name}");
        }
    }
}
