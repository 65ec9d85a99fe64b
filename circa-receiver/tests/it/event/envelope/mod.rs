//! The envelope, rule by rule: what a signed body must hold to be an event, what is kept of it, and
//! what unsigned headers may say beside it.

mod circa;
mod circularo;
#[cfg(feature = "receiver")]
mod modes;

use circa_receiver::{
    AnyEvent, PayloadFault, Rejection, Secret, Verifier,
    testing::{CircaSigner, CircularoSigner, unix_time},
};

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
    verifier.verify(headers, body.to_vec(), unix_time(NOW)).expect("the body is signed").event()
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
    verifier.verify(headers, body, unix_time(NOW)).expect("the body is signed").event()
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
            let expected = if valid { Ok(()) } else { Err("malformed_payload") };
            let shown: String = String::from_utf8_lossy(&body).chars().take(160).collect();
            let end = parse(body).map(drop).map_err(Rejection::reason);
            (end != expected).then(|| format!("{name}: {end:?} for {shown}"))
        })
        .collect();
    assert!(count > 0 && wrong.is_empty(), "{} of {count} rows:\n{}", wrong.len(), wrong.join("\n"));
}

/// Contract, section 5: the body is one JSON object, UTF-8 throughout, no BOM, nothing after it;
/// duplicate keys at the top level are refused.
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

/// Contract, section 5: a malformed payload "names its cause: the field and what is wrong with it",
/// by the name that its sender gives the field.
#[test]
fn a_cause_names_the_field_of_its_sender() {
    let form = "is not a string of 1 to 128 letters, digits, `_`, `.` or `-`";
    let rows = [
        ("circa", "type", None, "`type` is missing".to_owned()),
        ("circa", "type", Some("1"), format!("`type` {form}")),
        ("circa", "type", Some(r#""a b""#), format!("`type` {form}")),
        ("circa", "id", None, "`id` is missing".to_owned()),
        ("circularo", "event", None, "`event` is missing".to_owned()),
        ("circularo", "event", Some("1"), format!("`event` {form}")),
        ("circularo", "event", Some(r#""a b""#), format!("`event` {form}")),
        ("circularo", "documentId", None, "`documentId` is missing".to_owned()),
    ];
    for (sender, field, value, cause) in rows {
        let parsed = match sender {
            "circa" => circa(body(&CIRCA, field, value)),
            _ => circularo(body(&CIRCULARO, field, value)),
        };
        let Err(Rejection::MalformedPayload(fault)) = parsed else { panic!("{sender}: {field} {value:?}") };
        assert_eq!((fault.field(), fault.to_string()), (field, cause), "{sender}: {field} {value:?}");
        assert!(PayloadFault::ALL.contains(&fault), "{fault}");
    }
}
