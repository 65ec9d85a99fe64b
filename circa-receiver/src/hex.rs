//! Hex, both ways, for 32-byte MACs and digests.
//!
//! By hand: decoding with the `hex` crate takes ten times as long, and this stands on the path of every delivery.

/// For each byte its value as a hex digit, or a value with high bits set.
const NIBBLE: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit] as usize] = digit as u8;
        table[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
};

/// Exactly 64 hex digits, either case.
pub(crate) fn decode(text: &[u8]) -> Option<[u8; 32]> {
    let text: &[u8; 64] = text.try_into().ok()?;
    let mut bytes = [0; 32];
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (NIBBLE[pair[0] as usize], NIBBLE[pair[1] as usize]);
        seen |= high | low;
        *byte = high << 4 | (low & 0xf);
    }
    (seen < 16).then_some(bytes)
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
