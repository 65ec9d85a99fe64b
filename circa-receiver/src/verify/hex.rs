//! Hex, both ways, for 32-byte MACs and digests.

/// 64 hex digits, either case.
#[derive(Clone, Copy)]
pub(crate) struct Digits<'a>(&'a [u8; 64]);

impl<'a> Digits<'a> {
    /// `None` where the text is anything else.
    pub(crate) fn read(text: &'a [u8]) -> Option<Self> {
        let text = text.try_into().ok().map(Self)?;
        // Not `all`: without a way out in between the compiler makes vector instructions of it.
        text.0.iter().fold(true, |all, byte| all & byte.is_ascii_hexdigit()).then_some(text)
    }

    /// The bytes that they say.
    pub(crate) fn bytes(self) -> [u8; 32] {
        // Both steps go over whole arrays, for the same reason.
        let values = self.0.map(value);
        let mut bytes = [0; 32];
        for (byte, values) in bytes.iter_mut().zip(values.chunks_exact(2)) {
            *byte = values[0] << 4 | values[1];
        }
        bytes
    }
}

/// The value of a digit that [`Digits::read`] has checked.
fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
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
                let decoded = Digits::read(&text).map(Digits::bytes);
                assert_eq!(decoded.is_some(), byte.is_ascii_hexdigit(), "byte {byte} at {at}");
                if let (Some(bytes), Some(digit)) = (decoded, char::from(byte).to_digit(16)) {
                    let mut expected = [0; 32];
                    expected[at / 2] = (digit as u8) << (4 * ((at + 1) % 2));
                    assert_eq!(bytes, expected, "byte {byte} at {at}");
                    assert_eq!(Digits::read(encode(bytes).as_bytes()).map(Digits::bytes), Some(bytes));
                }
            }
        }
    }
}
