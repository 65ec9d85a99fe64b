//! The bodies that may have been signed, before something in front of the receiver changed them.

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::finding::{Diagnosis, Rewriting};
use super::json::{Escapes, Json, Order, Spacing, Style};
use super::trials::MAX_BODY_BYTES;

const BOM: &[u8] = b"\xef\xbb\xbf";
const GZIP: &[u8] = b"\x1f\x8b";

/// Bodies by the change that turns them into the one that arrived, the likeliest first; none stands
/// here twice.
pub(super) struct BodyForms<'b> {
    arrived: &'b [u8],
    pub(super) forms: Vec<(Diagnosis, Vec<u8>)>,
}

impl<'b> BodyForms<'b> {
    pub(super) fn of(arrived: &'b [u8]) -> Self {
        let mut forms = Self { arrived, forms: Vec::new() };
        forms.line_ends();
        forms.byte_order_mark();
        forms.compression();
        forms.json();
        forms
    }

    fn line_ends(&mut self) {
        let arrived = self.arrived;
        if let Some(line) = arrived.strip_suffix(b"\n") {
            self.push(Diagnosis::BodyLineEndAdded, line.strip_suffix(b"\r").unwrap_or(line).to_vec());
        }
        self.push(Diagnosis::BodyLineEndCut, [arrived, b"\n"].concat());
        self.push(Diagnosis::BodyLineEndCut, [arrived, b"\r\n"].concat());
        let unix = without_carriage_returns(arrived);
        let dos: Vec<u8> = unix
            .iter()
            .flat_map(|byte| if *byte == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(byte) })
            .copied()
            .collect();
        self.push(Diagnosis::BodyLineEndsChanged, unix);
        self.push(Diagnosis::BodyLineEndsChanged, dos);
    }

    fn byte_order_mark(&mut self) {
        match self.arrived.strip_prefix(BOM) {
            Some(rest) => self.push(Diagnosis::BomAdded, rest.to_vec()),
            None => self.push(Diagnosis::BomCut, [BOM, self.arrived].concat()),
        }
    }

    fn compression(&mut self) {
        if self.arrived.starts_with(GZIP) {
            let mut plain = Vec::new();
            let limit = MAX_BODY_BYTES as u64 + 1;
            if GzDecoder::new(self.arrived).take(limit).read_to_end(&mut plain).is_ok() {
                self.push(Diagnosis::Compressed, plain);
            }
            return;
        }
        // What was compressed by another library, or another level, is other bytes: those cannot be
        // guessed.
        for level in [Compression::default(), Compression::best(), Compression::fast()] {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            if let Ok(compressed) = encoder.write_all(self.arrived).and_then(|()| encoder.finish()) {
                self.push(Diagnosis::Decompressed, compressed);
            }
        }
    }

    fn json(&mut self) {
        let Some(json) = Json::parse(self.arrived) else { return };
        for order in [Order::AsIs, Order::Documented, Order::Sorted] {
            for spacing in [Spacing::Compact, Spacing::AfterSeparators, Spacing::Indented] {
                for escapes in [Escapes::AsIs, Escapes::None, Escapes::NonAscii] {
                    let style = Style { order, spacing, escapes };
                    let rewriting = rewriting(&json, style, self.arrived);
                    self.push(Diagnosis::Reserialised(rewriting), json.written(style));
                }
            }
        }
    }

    fn push(&mut self, diagnosis: Diagnosis, signed: Vec<u8>) {
        if signed != self.arrived && self.forms.iter().all(|(_, other)| *other != signed) {
            self.forms.push((diagnosis, signed));
        }
    }
}

fn without_carriage_returns(body: &[u8]) -> Vec<u8> {
    let is_kept = |at: &usize| body[*at] != b'\r' || body.get(at + 1) != Some(&b'\n');
    (0..body.len()).filter(is_kept).map(|at| body[at]).collect()
}

/// What differs between the body written in a style, and the one that arrived.
fn rewriting(json: &Json<'_>, style: Style, arrived: &[u8]) -> Rewriting {
    let as_is = Style { order: Order::AsIs, escapes: Escapes::AsIs, ..style };
    let plain = json.written(as_is);
    let spaces = plain != arrived;
    let order = json.written(Style { order: style.order, ..as_is }) != plain;
    let escapes = json.written(Style { escapes: style.escapes, ..as_is }) != plain;
    match (spaces, order, escapes) {
        (_, false, false) => Rewriting::Spaces,
        (false, true, false) => Rewriting::KeyOrder,
        (false, false, true) => Rewriting::Escapes,
        _ => Rewriting::Several,
    }
}
