//! The floor of verification: nothing but the work that no receiver can leave out.
//!
//! The two key blocks are compressed once, when it is made. Per delivery: the value of the header read in place, `v1` decoded into 32 bytes, SHA-256's
//! compression over `t`, `.` and the body as they lie in memory, one reading of the clock, one comparison in constant time. It knows one form of the
//! header, `t=<10 digits>,v1=<64 hex digits>`, checks nothing that it does not need, and is handed the value instead of looking for it.

use sha2::block_api::compress256;
use subtle::ConstantTimeEq;

/// SHA-256's initial state (FIPS 180-4, section 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
const BLOCK: usize = 64;
/// In seconds.
const TOLERANCE: u64 = 300;

/// A key as two states of SHA-256, behind its inner and its outer block.
#[derive(Clone, Copy)]
pub struct Floor {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl Floor {
    /// The secret must be at most 64 bytes long.
    pub fn new(secret: &str) -> Self {
        let state = |pad: u8| {
            let mut block = [pad; BLOCK];
            block.iter_mut().zip(secret.as_bytes()).for_each(|(byte, key)| *byte ^= key);
            let mut state = INITIAL;
            compress256(&mut state, &[block]);
            state
        };
        assert!(secret.len() <= BLOCK);
        Self { inner: state(0x36), outer: state(0x5c) }
    }

    /// Whether a delivery with this signature header is authentic, and signed within 300 s from `now`, in unix seconds.
    pub fn verify(&self, header: &[u8], body: &[u8], now: impl FnOnce() -> i64) -> bool {
        let Some((t, v1)) = split(header) else { return false };
        let Some(seconds) = seconds(t) else { return false };
        let Some(candidate) = decode(v1) else { return false };
        let expected = self.over(t, body);
        bool::from(expected.ct_eq(&candidate)) && seconds.abs_diff(now()) <= TOLERANCE
    }

    /// The MAC over `t + "." + body`, as SHA-256's eight words in pairs.
    fn over(&self, t: &[u8; 10], body: &[u8]) -> [u64; 4] {
        const PREFIX: usize = 11;
        let mut state = self.inner;
        let mut block = [0; BLOCK];
        block[..10].copy_from_slice(t);
        block[10] = b'.';
        let rest = if body.len() >= BLOCK - PREFIX {
            let (first, rest) = body.split_at(BLOCK - PREFIX);
            block[PREFIX..].copy_from_slice(first);
            compress256(&mut state, &[block]);
            let (blocks, rest) = rest.as_chunks::<BLOCK>();
            compress256(&mut state, blocks);
            block = [0; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            rest.len()
        } else {
            block[PREFIX..][..body.len()].copy_from_slice(body);
            PREFIX + body.len()
        };
        pad(&mut state, block, rest, BLOCK + PREFIX + body.len());

        let mut block = [0; BLOCK];
        // Byte by byte: word by word they would stall the wider read that follows.
        let digest: [u8; 32] = std::array::from_fn(|byte| state[byte / 4].to_be_bytes()[byte % 4]);
        block[..32].copy_from_slice(&digest);
        let mut state = self.outer;
        pad(&mut state, block, 32, BLOCK + 32);
        std::array::from_fn(|pair| u64::from(state[2 * pair]) << 32 | u64::from(state[2 * pair + 1]))
    }
}

/// Compresses the last bytes of a message, of which `used` stand in `block`, and its length in bytes.
fn pad(state: &mut [u32; 8], mut block: [u8; BLOCK], used: usize, length: usize) {
    block[used] = 0x80;
    if used >= BLOCK - 8 {
        compress256(state, &[block]);
        block = [0; BLOCK];
    }
    block[BLOCK - 8..].copy_from_slice(&(8 * length as u64).to_be_bytes());
    compress256(state, &[block]);
}

fn split(header: &[u8]) -> Option<(&[u8; 10], &[u8; 64])> {
    let (t, v1) = header.strip_prefix(b"t=")?.split_first_chunk()?;
    Some((t, v1.strip_prefix(b",v1=")?.try_into().ok()?))
}

fn seconds(t: &[u8; 10]) -> Option<i64> {
    t.iter().try_fold(0, |seconds, byte| byte.is_ascii_digit().then(|| seconds * 10 + i64::from(byte - b'0')))
}

/// 64 hex digits as four words, most significant byte first.
fn decode(hex: &[u8; 64]) -> Option<[u64; 4]> {
    let nibbles = hex.map(|byte| {
        let (digit, letter) = (byte.wrapping_sub(b'0'), (byte | 0x20).wrapping_sub(b'a'));
        if digit < 10 {
            digit
        } else if letter < 6 {
            letter + 10
        } else {
            u8::MAX
        }
    });
    if nibbles.iter().fold(0, |seen, nibble| seen | nibble) >= 16 {
        return None;
    }
    let bytes: [u8; 32] = std::array::from_fn(|at| nibbles[2 * at] << 4 | nibbles[2 * at + 1]);
    Some(std::array::from_fn(|word| u64::from_be_bytes(std::array::from_fn(|byte| bytes[8 * word + byte]))))
}
