//! `Circa-Signature` a second time: its grammar read apart from the sources, and headers generated
//! near it.

use std::fmt::Write as _;

use circa_receiver::Rejection;
use hmac::{Hmac, KeyInit as _, Mac as _};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use sha2::Sha256;

pub(crate) const SECRET: &str = "whsec_test_0123456789abcdef";
pub(crate) const OTHER_SECRET: &str = "whsec_other_0123456789abcdef";
pub(crate) const BODY: &[u8] = b"{\"id\":\"evt_1\"}";

/// Contract, section 2, read a second time and apart from the sources: the time as text and as a
/// number, and the well-formed MACs.
fn parse(value: &[u8]) -> Result<(String, i64, Vec<Vec<u8>>), Rejection> {
    let text: Vec<char> = value.iter().map(|&byte| char::from(byte)).collect();
    let text: String = text.into_iter().collect();
    if value.len() > 1_024 {
        return Err(Rejection::MalformedSignature);
    }
    let blank = [' ', '\t'];
    let text = text.trim_matches(blank);
    if text.is_empty() {
        return Err(Rejection::MissingSignature);
    }
    let malformed = Err(Rejection::MalformedSignature);
    let elements: Vec<&str> = text.split(',').map(|element| element.trim_matches(blank)).collect();
    let pairs: Vec<(&str, &str)> = elements.iter().filter_map(|element| element.split_once('=')).collect();
    if elements.len() > 16 || pairs.len() < elements.len() {
        return malformed;
    }
    let of = |key: &'static str| pairs.iter().filter(move |pair| pair.0 == key).map(|pair| pair.1);
    let (times, macs): (Vec<_>, Vec<_>) = (of("t").collect(), of("v1").collect());
    let [time] = times[..] else { return malformed };
    let canonical = time.parse::<i64>().ok().filter(|seconds| *seconds >= 0 && seconds.to_string() == time);
    let Some(seconds) = canonical else { return malformed };
    let well_formed = |mac: &&str| mac.len() == 64 && mac.chars().all(|digit| digit.is_ascii_hexdigit());
    let good: Vec<_> = macs.iter().copied().filter(well_formed).map(unhex).collect();
    if macs.len() > 8 || good.is_empty() {
        return malformed;
    }
    Ok((time.to_owned(), seconds, good))
}

/// Whether a header is authentic for a body, and its time.
pub(crate) fn verify(value: &[u8], secrets: &[&str], body: &[u8]) -> Result<Option<i64>, Rejection> {
    let (time, seconds, macs) = parse(value)?;
    let expected = |secret: &&str| mac(secret, &time, body);
    if secrets.iter().any(|secret| macs.contains(&expected(secret))) {
        Ok(Some(seconds))
    } else {
        Err(Rejection::SignatureMismatch)
    }
}

/// Headers near the grammar: most are well-formed, and each departs from it in few places.
pub(crate) fn header() -> impl Strategy<Value = Vec<u8>> {
    let mac = |secret: &str, time: &str| hex(&mac(secret, time, BODY));
    let time = select(vec![
        "1747000800",
        "0",
        "9223372036854775807",
        "1",
        "9223372036854775808",
        "01",
        "+1",
        "-1",
        "",
        "1.0",
        "１",
    ]);
    let time = prop_oneof![6 => Just("1747000800"), 2 => time];
    let padding =
        || prop_oneof![6 => Just(""), 1 => Just(" "), 1 => Just("\t "), 1 => select(vec!["\u{b}", "\n", "\u{a0}"])];
    time.prop_flat_map(move |time| {
        let right = mac(SECRET, time);
        let good = vec![
            right.clone(),
            right.to_uppercase(),
            mac(OTHER_SECRET, time),
            mac("whsec_third", time),
            "0".repeat(64),
        ];
        let bad = vec![
            right[1..].to_owned(),
            format!("{right}0"),
            format!("{}g", &right[1..]),
            format!("\"{right}\""),
            String::new(),
            format!(" {}", &right[1..]),
        ];
        let v1 = prop_oneof![3 => select(good), 1 => select(bad)].prop_map(|mac| format!("v1={mac}"));
        let right_again = right.clone();
        let odd = select(vec![
            "",
            "v1",
            "=",
            "=x",
            "t",
            "v0=x",
            "v2=x",
            "V1=x",
            "T=1",
            "k==",
            "t =1",
            "t=1=2",
            "v1=x=y",
            "v1 =x",
            "x=é",
            "scheme=\u{0}",
        ]);
        let element = prop_oneof![
            8 => v1,
            2 => Just(format!("v1={right_again}")),
            3 => "[a-z0-9]{1,3}=[ -+.-~]{0,8}",
            1 => odd.prop_map(str::to_owned),
            1 => Just(format!("t={time}")),
            1 => (0..=1_100_usize).prop_map(|len| format!("x={}", "a".repeat(len))),
        ];
        let count = prop_oneof![8 => 1..=4_usize, 2 => 7..=10_usize, 2 => 14..=17_usize];
        let elements = count.prop_flat_map(move |count| vec((padding(), element.clone(), padding()), count));
        (elements, any::<Index>(), prop_oneof![20 => Just(true), 1 => Just(false)]).prop_map(
            move |(mut elements, at, timed)| {
                if timed {
                    elements.insert(at.index(elements.len() + 1), ("", format!("t={time}"), ""));
                }
                let elements: Vec<_> =
                    elements.into_iter().map(|(before, element, after)| format!("{before}{element}{after}")).collect();
                elements.join(",").into_bytes()
            },
        )
    })
}

fn mac(secret: &str, time: &str, body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(&[time.as_bytes(), b".", body].concat());
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
