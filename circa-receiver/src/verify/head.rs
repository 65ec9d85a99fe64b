//! What is read of a request's head, as pairs of a name and raw bytes.
//!
//! Header names are compared without case. No `http` types: frameworks disagree on their version.

use crate::sender::Sender;

/// The head of a request, as a framework hands it over: the method, and the header fields in order,
/// a repeated name being two fields.
pub trait Head {
    /// The request's method, as on the wire (`"POST"`).
    fn method(&self) -> &str;

    /// Every header field: its name, in any case, and its value as raw bytes.
    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])>;

    /// The tenant, where the path has a segment for it: for receivers of several tenants.
    fn tenant(&self) -> Option<&str> {
        None
    }

    /// The path of the request's target, which an inbox keeps for the handler; `/` where it is not
    /// known.
    fn path(&self) -> &str {
        "/"
    }
}

impl<H: Head + ?Sized> Head for &H {
    fn method(&self) -> &str {
        (**self).method()
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        (**self).headers()
    }

    fn tenant(&self) -> Option<&str> {
        (**self).tenant()
    }

    fn path(&self) -> &str {
        (**self).path()
    }
}

/// A header field that may stand in a request once.
#[derive(Clone, Copy, Default)]
pub(crate) enum Field<'h> {
    #[default]
    Absent,
    One(&'h [u8]),
    Repeated,
}

impl<'h> Field<'h> {
    fn push(&mut self, value: &'h [u8]) {
        *self = match self {
            Self::Absent => Self::One(value),
            Self::One(_) | Self::Repeated => Self::Repeated,
        };
    }

    /// Whether an unsigned header agrees with the signed body: absent, or one field line equal to
    /// it byte for byte.
    pub(crate) fn agrees_with(self, signed: &str) -> bool {
        match self {
            Self::Absent => true,
            Self::One(value) => value == signed.as_bytes(),
            Self::Repeated => false,
        }
    }
}

/// The fields that verification needs, found in one walk over the headers.
#[derive(Clone, Copy, Default)]
pub(crate) struct SignedFields<'h> {
    pub(crate) signature: Field<'h>,
    pub(crate) unsigned: UnsignedFields<'h>,
}

/// The fields that no MAC covers.
#[derive(Clone, Copy, Default)]
pub(crate) struct UnsignedFields<'h> {
    pub(crate) event_id: Field<'h>,
    pub(crate) event_type: Field<'h>,
    pub(crate) webhook_id: Field<'h>,
}

impl<'h> SignedFields<'h> {
    pub(crate) fn read(sender: Sender, headers: impl IntoIterator<Item = (&'h str, &'h [u8])>) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            fields.take(sender, name, value);
        }
        fields
    }

    fn take(&mut self, sender: Sender, name: &str, value: &'h [u8]) {
        let spec = sender.spec();
        if is(name, spec.signature_header) {
            self.signature.push(value);
        } else if is(name, spec.id_header) {
            self.unsigned.event_id.push(value);
        } else if is(name, spec.type_header) {
            self.unsigned.event_type.push(value);
        } else if is(name, spec.webhook_id_header) {
            self.unsigned.webhook_id.push(value);
        }
    }
}

/// Whether a header has this name, compared without case. A sender without such a header has the
/// empty name for it.
///
/// Frameworks hand names over in lower case, so that the first comparison decides.
fn is(name: &str, header: &str) -> bool {
    name.len() == header.len() && (name == header || name.eq_ignore_ascii_case(header)) && !header.is_empty()
}

/// Everything that the receiver reads of a head, found in one walk.
#[cfg(feature = "receiver")]
pub(crate) struct HeadFields<'h> {
    pub(crate) method: &'h str,
    pub(crate) identity_encoded: bool,
    pub(crate) content_length: Option<u64>,
    pub(crate) signed: SignedFields<'h>,
}

#[cfg(feature = "receiver")]
impl<'h> HeadFields<'h> {
    pub(crate) fn read(sender: Sender, head: &'h impl Head) -> Self {
        let mut fields = Self {
            method: head.method(),
            identity_encoded: true,
            content_length: None,
            signed: SignedFields::default(),
        };
        for (name, value) in head.headers() {
            if is(name, "content-encoding") {
                fields.identity_encoded &= value.trim_ascii().eq_ignore_ascii_case(b"identity");
            } else if is(name, "content-length") {
                fields.content_length = content_length(value);
            } else {
                fields.signed.take(sender, name, value);
            }
        }
        fields
    }
}

/// Digits beyond `u64` are a length beyond any limit. What is no number says nothing: the bytes
/// read are counted anyway.
#[cfg(feature = "receiver")]
fn content_length(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).map(|length| length.unwrap_or(u64::MAX))
}

/// A head of borrowed pairs, for callers without a framework and for tests.
impl<N: AsRef<str>, V: AsRef<[u8]>> Head for (&str, &[(N, V)]) {
    fn method(&self) -> &str {
        self.0
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.1.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}
