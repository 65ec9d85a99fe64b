//! Generated JSON as text, with its escapes and white space: values, objects, and what only
//! resembles them.

use proptest::{collection::vec, prelude::*, sample::select};

/// Pieces of JSON in any order: nearly bodies.
pub(crate) fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "\\ud800",
        "\\u0069d",
        "\"id\"",
        "\"type\"",
        "\"data\"",
        "\"created\"",
        "\"livemode\"",
        "\"teamId\"",
        "\"event\"",
        "\"documentId\"",
        "\"actor\"",
        "\"timestamp\"",
        "\"evt_1\"",
        "null",
        "true",
        "-",
        "0",
        "1e400",
        " ",
        "\n",
        "\u{feff}",
        "\0",
        "{\"id\":\"evt_1\",\"type\":\"t\",\"data\":",
        "{\"event\":\"documentSigned\",\"documentId\":\"d\",\"actor\":",
    ]);
    vec(prop_oneof![9 => piece.prop_map(|piece| piece.as_bytes().to_vec()), 1 => vec(any::<u8>(), 0..=3)], 0..=30)
        .prop_map(|pieces| pieces.concat())
}

fn white_space() -> impl Strategy<Value = String> + Clone {
    prop_oneof![2 => Just(String::new()), 1 => "[ \t\r\n]{0,3}"]
}

/// A character of a JSON string, and one of the ways to write it: as itself where that is allowed,
/// or escaped.
fn written(character: char, escape: u8) -> String {
    let must = matches!(character, '"' | '\\') || character < ' ';
    let units = || {
        let mut units = [0; 2];
        character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
    };
    match escape % 6 {
        0 => units(),
        1 => units().to_uppercase().replace("\\U", "\\u"),
        2 if matches!(character, '"' | '\\' | '/') => format!("\\{character}"),
        _ if must => units(),
        _ => character.to_string(),
    }
}

/// A text, and one of the ways to write it as a JSON string.
pub(crate) fn json_string(text: impl Strategy<Value = String>) -> impl Strategy<Value = (String, String)> {
    text.prop_flat_map(|text| {
        let length = text.chars().count();
        (Just(text), vec(any::<u8>(), length))
    })
    .prop_map(|(text, escapes)| {
        let written: String = text.chars().zip(escapes).map(|(character, escape)| written(character, escape)).collect();
        (text, format!("\"{written}\""))
    })
}

/// Any JSON value as text, with white space in it.
pub(crate) fn json() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,4})?";
    let leaf = prop_oneof![
        select(vec!["null", "true", "false", "1e400", r#""\ud800""#]).prop_map(str::to_owned),
        number.prop_map(|number| number),
        json_string(any::<String>()).prop_map(|(_, json)| json),
    ];
    leaf.prop_recursive(5, 30, 5, |inner| {
        let padded =
            (white_space(), inner, white_space()).prop_map(|(before, json, after)| format!("{before}{json}{after}"));
        let member = (json_string("[a-c]{0,2}"), padded.clone()).prop_map(|((_, key), value)| format!("{key}:{value}"));
        prop_oneof![
            vec(padded, 0..5).prop_map(|elements| format!("[{}]", elements.join(","))),
            vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// Members as an object's text, in any order and with white space wherever it may stand.
pub(crate) fn object(members: Vec<(String, String)>) -> impl Strategy<Value = String> {
    let count = members.len();
    (Just(members).prop_shuffle(), vec(white_space(), 4 * count + 2)).prop_map(|(members, spaces)| {
        let mut spaces = spaces.into_iter();
        let mut space = move || spaces.next().unwrap();
        let outer = (space(), space());
        let members: Vec<_> = members
            .into_iter()
            .map(|(key, value)| [space(), key, space(), ":".to_owned(), space(), value, space()].concat())
            .collect();
        [outer.0, "{".to_owned(), members.join(","), "}".to_owned(), outer.1].concat()
    })
}
