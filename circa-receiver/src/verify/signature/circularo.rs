//! The grammar of `x-circularo-signature: <hex>`: exactly 64 hex digits, either case; no prefix, no
//! list.

use super::offered::Signature;
use crate::verify::hex::Digits;

/// `None` is malformed.
pub(super) fn parse(value: &[u8]) -> Option<Signature<'_>> {
    let mut signature = Signature::default();
    signature.macs[0] = Some(Digits::read(value)?);
    Some(signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract, section 2: exactly 64 hex digits, either case; no prefix, no list.
    #[test]
    fn grammar() {
        let hex = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
        let cases = [
            ("plain", hex.to_owned(), true),
            ("63 digits", hex[1..].to_owned(), false),
            ("65 digits", format!("{hex}0"), false),
            ("prefix", format!("sha256={hex}"), false),
            ("list", format!("{hex},{hex}"), false),
            ("not hex", hex.replace('0', "g"), false),
            ("the other sender's form", format!("t=1,v1={hex}"), false),
        ];
        for (name, value, well_formed) in cases {
            assert_eq!(parse(value.as_bytes()).is_some(), well_formed, "{name}");
        }
    }
}
