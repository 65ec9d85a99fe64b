//! Hex, both ways, for 32-byte MACs and digests.

/// Exactly 64 hex digits, either case.
pub(crate) fn decode(text: &[u8]) -> Option<[u8; 32]> {
    let text: &[u8; 64] = text.try_into().ok()?;
    // Both steps go over whole arrays: the compiler makes vector instructions of them.
    let digits = text.map(value);
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digits[0] << 4 | digits[1] & 0xf;
    }
    digits.iter().all(|digit| *digit < 16).then_some(bytes)
}

/// The value of a hex digit; of any other byte a value from 16 on.
fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => u8::MAX,
    }
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
