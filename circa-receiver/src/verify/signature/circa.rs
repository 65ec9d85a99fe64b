//! The grammar of `Circa-Signature: t=<unix seconds>,v1=<hex>` (contract, section 2).
//!
//! 1. at most 16 elements separated by `,`; spaces and tabs around an element are trimmed;
//! 2. each element is `key=value`, split at its first `=`; unknown keys are ignored;
//! 3. exactly one `t`, canonical decimal, at most `i64::MAX`;
//! 4. one to eight `v1`; those that are not 64 hex digits are ignored as long as one is.

use super::offered::{Signature, SignedAt, trim};
use crate::verify::hex::Digits;

const MAX_ELEMENTS: usize = 16;

/// `None` is malformed.
pub(super) fn parse(value: &[u8]) -> Option<Signature<'_>> {
    let mut signature = Signature::default();
    let mut v1 = 0;
    for (place, element) in value.split(|byte| *byte == b',').enumerate() {
        if place == MAX_ELEMENTS {
            return None;
        }
        match trim(element) {
            [b't', b'=', ..] if signature.signed_at.is_some() => return None,
            [b't', b'=', time @ ..] => signature.signed_at = Some(parse_time(time)?),
            [b'v', b'1', b'=', mac @ ..] => {
                *signature.macs.get_mut(v1)? = Digits::read(mac);
                v1 += 1;
            }
            unknown if unknown.contains(&b'=') => {}
            _ => return None,
        }
    }
    (signature.signed_at.is_some() && signature.macs.iter().any(Option::is_some)).then_some(signature)
}

/// `0`, or a non-zero digit followed by digits, within `i64`. No sign, no leading zero, no space.
fn parse_time(text: &[u8]) -> Option<SignedAt<'_>> {
    let (b"0" | [b'1'..=b'9', ..]) = text else { return None };
    let append = |seconds: i64, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        seconds.checked_mul(10)?.checked_add(digit)
    };
    Some(SignedAt { text, seconds: text.iter().try_fold(0, append)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "v1=00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

    /// Contract, section 2: the header's grammar, case by case: whether it is well-formed.
    #[test]
    fn grammar() {
        let many = |element: &str, count: usize| vec![element; count].join(",");
        let long = |len: usize| format!("t=1,{V1},x={}", "a".repeat(len - "t=1,,x=".len() - V1.len()));
        let cases = [
            ("plain", format!("t=1747000800,{V1}"), true),
            ("reversed", format!("{V1},t=1"), true),
            ("spaces and tabs around elements", format!(" t=1\t, {V1} "), true),
            ("space before =", format!("t =1,{V1}"), false),
            ("space after =", format!("t= 1,{V1}"), false),
            ("no t", V1.to_owned(), false),
            ("no v1", "t=1".to_owned(), false),
            ("two t", format!("t=1,t=1,{V1}"), false),
            ("t zero", format!("t=0,{V1}"), true),
            ("t empty", format!("t=,{V1}"), false),
            ("t leading zero", format!("t=01,{V1}"), false),
            ("t plus", format!("t=+1,{V1}"), false),
            ("t minus", format!("t=-1,{V1}"), false),
            ("t hexadecimal", format!("t=0x1,{V1}"), false),
            ("t full-width digit", format!("t=１,{V1}"), false),
            ("t i64::MAX", format!("t={},{V1}", i64::MAX), true),
            ("t i64::MAX + 1", format!("t={},{V1}", i64::MAX as u64 + 1), false),
            ("upper-case T", format!("T=1,{V1}"), false),
            ("upper-case V1 is unknown", format!("t=1,{}", V1.replace("v1", "V1")), false),
            ("unknown keys", format!("t=1,v0=x,v2=y,{V1}"), true),
            ("unknown key with = in its value", format!("t=1,k=a=b,{V1}"), true),
            ("empty key is an unknown key", format!("t=1,=a,{V1}"), true),
            ("bare token", format!("t=1,v1,{V1}"), false),
            ("empty element", format!("t=1,,{V1}"), false),
            ("trailing comma", format!("t=1,{V1},"), false),
            ("semicolon", format!("t=1;{V1}"), false),
            ("v1 of 63 digits beside a good one", format!("t=1,{},{V1}", &V1[..V1.len() - 1]), true),
            ("v1 of 65 digits alone", format!("t=1,{V1}0"), false),
            ("v1 quoted", format!("t=1,v1=\"{}\"", &V1[3..]), false),
            ("8 v1", format!("t=1,{}", many(V1, 8)), true),
            ("9 v1", format!("t=1,{}", many(V1, 9)), false),
            ("9 v1, 8 of them not hex", format!("t=1,{},{V1}", many("v1=x", 8)), false),
            ("16 elements", format!("t=1,{V1},{}", many("x=", 14)), true),
            ("17 elements", format!("t=1,{V1},{}", many("x=", 15)), false),
            ("1,024 bytes", long(1_024), true),
        ];
        for (name, header, well_formed) in cases {
            assert_eq!(parse(trim(header.as_bytes())).is_some(), well_formed, "{name}: {header}");
        }
    }
}
