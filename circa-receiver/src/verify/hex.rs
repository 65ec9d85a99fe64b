//! Hex, both ways, for 32-byte MACs and digests.
//!
//! By hand: decoding with the `hex` crate takes ten times as long, and this stands on the path of every delivery.

/// Exactly 64 hex digits, either case.
#[inline(always)]
pub(crate) fn decode(text: &[u8]) -> Option<[u8; 32]> {
    let text: &[u8; 64] = text.try_into().ok()?;
    // All nibbles first, then the pairs, without a branch: so the compiler does many at once.
    let nibbles = text.map(nibble);
    if nibbles.iter().fold(0, |seen, nibble| seen | nibble) >= 16 {
        return None;
    }
    Some(std::array::from_fn(|byte| nibbles[2 * byte] << 4 | nibbles[2 * byte + 1]))
}

/// The value of a hex digit; of any other byte a value from 16 on.
fn nibble(byte: u8) -> u8 {
    let (digit, letter) = (byte.wrapping_sub(b'0'), (byte | 0x20).wrapping_sub(b'a'));
    if digit < 10 {
        digit
    } else if letter < 6 {
        letter + 10
    } else {
        u8::MAX
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
