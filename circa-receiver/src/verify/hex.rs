//! Hex, both ways, for 32-byte MACs and digests.

/// Exactly 64 hex digits, either case.
pub(crate) fn decode(text: &[u8]) -> Option<[u8; 32]> {
    let text: &[u8; 64] = text.try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = nibble(digits[0])? << 4 | nibble(digits[1])?;
    }
    Some(bytes)
}

/// The value of a hex digit.
fn nibble(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// 64 lower-case hex digits.
pub(crate) fn encode(bytes: [u8; 32]) -> String {
    let mut text = String::with_capacity(64);
    for nibble in bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]) {
        text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_digit_or_refused() {
        for byte in 0..=255u8 {
            for at in 0..64 {
                let mut text = [b'0'; 64];
                text[at] = byte;
                let decoded = decode(&text);
                assert_eq!(decoded.is_some(), byte.is_ascii_hexdigit(), "byte {byte} at {at}");
                if let (Some(bytes), Some(digit)) = (decoded, char::from(byte).to_digit(16)) {
                    let mut expected = [0; 32];
                    expected[at / 2] = (digit as u8) << (4 * ((at + 1) % 2));
                    assert_eq!(bytes, expected, "byte {byte} at {at}");
                    assert_eq!(decode(encode(bytes).as_bytes()), Some(bytes));
                }
            }
        }
    }
}
