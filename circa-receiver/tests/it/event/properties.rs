//! Properties of the envelope, over generated bodies.

use circa_receiver::testing::unix_time;
use circa_receiver::{AnyEvent, Rejection, Verifier, testing::CircaSigner};
use proptest::{
    collection::{hash_map, vec},
    prelude::*,
    sample::{Index, select},
};

use crate::support::{
    generated::{config, secret},
    header::SECRET,
    json::{json, json_string, object},
};

const NOW: i64 = 1_747_000_800;

fn event(body: &[u8]) -> Result<AnyEvent, Rejection> {
    let signature = CircaSigner::new(SECRET).sign(NOW, body);
    let verifier = Verifier::circa(secret(SECRET.as_bytes()));
    verifier.verify([("circa-signature", signature.as_bytes())], body.to_vec(), unix_time(NOW)).expect("signed").event()
}

/// The known fields of Circa's envelope, each with a good value.
const KNOWN: [(&str, &str); 6] = [
    ("id", r#""evt_1""#),
    ("type", r#""t""#),
    ("created", "1"),
    ("livemode", "true"),
    ("teamId", r#""""#),
    ("data", "{}"),
];

proptest! {
    #![proptest_config(config())]

    /// Contract, section 5: the envelope as it was sent, `data` byte-exact, whatever the order of
    /// the fields and the white space between them.
    #[test]
    fn a_valid_envelope_is_read_as_it_was_written(
        (body, id, event_type, created, livemode, team, data) in (
            json_string("[!-~]{1,255}"),
            json_string("[A-Za-z0-9_.-]{1,128}"),
            any::<i64>(),
            any::<bool>(),
            json_string(any::<String>()),
            json(),
            hash_map("[x-z]{1,3}", json(), 0..4),
            json_string("id|type|created|livemode|teamId|data"),
        ).prop_flat_map(|(id, event_type, created, livemode, team, data, unknown, escaped)| {
            // One of the known keys is written with escapes.
            let key = |name: &str| if escaped.0 == name { escaped.1.clone() } else { format!("\"{name}\"") };
            let mut members = vec![
                (key("id"), id.1),
                (key("type"), event_type.1),
                (key("created"), created.to_string()),
                (key("livemode"), livemode.to_string()),
                (key("teamId"), team.1),
                (key("data"), data.clone()),
            ];
            members.extend(unknown.into_iter().map(|(key, value)| (format!("\"{key}\""), value)));
            (object(members), Just(id.0), Just(event_type.0), Just(created), Just(livemode), Just(team.0), Just(data))
        })
    ) {
        let event = event(body.as_bytes());
        prop_assert!(event.is_ok(), "{:?}: {}", event, body);
        let event = event.unwrap();
        prop_assert_eq!(event.id(), id);
        prop_assert_eq!(event.event_type(), event_type);
        prop_assert_eq!(event.created(), Some(created));
        prop_assert_eq!(event.livemode(), Some(livemode));
        prop_assert_eq!(event.team_id(), Some(&team[..]));
        prop_assert_eq!(event.raw_data(), Some(data.as_bytes()));
        prop_assert_eq!(&event.body()[..], body.as_bytes());
    }

    /// Contract, section 5: what is accepted is one JSON object and nothing after it, as
    /// `serde_json` reads it.
    #[test]
    fn what_is_accepted_is_a_json_object(
        body in object(KNOWN.map(|(name, good)| (format!("\"{name}\""), good.to_owned())).to_vec()),
        at in any::<Index>(),
        length in 0..=2_usize,
        piece in select(vec!["", "{", "}", "[", ",", ":", "\"", "\\", " ", "\n", "\u{c}", "\0", "1", "null", "\"a\":1,", ",\"a\":1"]),
    ) {
        let mut bytes = body.into_bytes();
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + length);
        bytes.splice(at..end, piece.bytes());
        if event(&bytes).is_ok() {
            let read = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes);
            prop_assert!(read.is_ok() && bytes.trim_ascii_start().starts_with(b"{"), "{}", bytes.escape_ascii());
        }
    }

    /// Contract, section 5: duplicate keys at the top level are refused, compared after unescaping.
    #[test]
    fn a_key_that_stands_twice_is_refused(
        (body, twice) in (
            prop_oneof![select(KNOWN.map(|(name, _)| name.to_owned()).to_vec()), any::<String>()]
                .prop_flat_map(|name| (json_string(Just(name.clone())), json_string(Just(name)))),
            json(),
            any::<bool>(),
        ).prop_flat_map(|((first, second), value, twice)| {
            let good = KNOWN.iter().find(|(name, _)| *name == first.0).map_or(value, |(_, good)| (*good).to_owned());
            let others = KNOWN.iter().filter(|(name, _)| *name != first.0);
            let mut members: Vec<_> = others.map(|(name, good)| (format!("\"{name}\""), (*good).to_owned())).collect();
            members.push((first.1, good.clone()));
            if twice {
                members.push((second.1, good));
            }
            (object(members), Just(twice))
        })
    ) {
        let expected = if twice { Err("malformed_payload") } else { Ok(()) };
        prop_assert_eq!(event(body.as_bytes()).map(drop).map_err(Rejection::reason), expected, "{}", body);
    }

    /// Contract, section 5: nesting at most 128, the body itself being the first level; brackets in
    /// strings do not nest.
    #[test]
    fn nesting_ends_at_128(
        levels in prop_oneof![Just(127), Just(128), Just(129), Just(130), 1..=400_usize],
        objects in vec(any::<bool>(), 400),
        noise in select(vec!["", r#""[[[{{{""#, r#""\"[[[{{{""#, r#""\\""#, "[],[]", "{},[{}]"]),
        in_data in any::<bool>(),
    ) {
        let inner = levels - 1;
        let open: String = objects[..inner].iter().map(|object| if *object { "{\"a\":" } else { "[" }).collect();
        let close: String = objects[..inner].iter().rev().map(|object| if *object { '}' } else { ']' }).collect();
        let key = if in_data { "data" } else { "unknown" };
        let body = format!(r#"{{"id":"evt_1","x":[{noise}],"type":"t","{key}":{open}0{close},"y":[{noise}]}}"#);
        let expected = if levels <= 128 { Ok(()) } else { Err("malformed_payload") };
        prop_assert_eq!(event(body.as_bytes()).map(drop).map_err(Rejection::reason), expected);
    }
}
