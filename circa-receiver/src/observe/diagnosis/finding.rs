//! What a diagnosis finds, and what is to be done about it.

use std::fmt;

/// The mistake behind a signature that matches no secret. Holds nothing of a secret, a MAC or a
/// body.
///
/// `Display` says what happened and what to do.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Diagnosis {
    /// No known mistake explains the signature: it was made with a secret that is not known here,
    /// or the body changed in another way.
    Unexplained,
    /// The body is longer than 64 KiB, and was not tried.
    BodyTooLong,
    /// One side has the secret without its prefix `whsec_`.
    PrefixStripped(Side),
    /// One side base64-decodes what follows the prefix `whsec_`.
    Base64Decoded(Side),
    /// One side has the secret in quotes.
    Quoted(Side),
    /// One side has the secret with a line end behind it.
    LineEnd(Side),
    /// One side has the secret with white space around it.
    WhiteSpace(Side),
    /// Signed with a secret that is not configured, but known.
    OtherSecret(Origin),
    /// The body alone was signed, without the time.
    NoTime,
    /// Another time was signed than the header says.
    OtherTime,
    /// A line end was added to the body on its way.
    BodyLineEndAdded,
    /// The line end at the end of the body was cut off on its way.
    BodyLineEndCut,
    /// The line ends within the body were changed on its way.
    BodyLineEndsChanged,
    /// A byte-order mark was put before the body on its way.
    BomAdded,
    /// The byte-order mark before the body was cut off on its way.
    BomCut,
    /// The body was compressed on its way, without a `Content-Encoding` that says so.
    Compressed,
    /// The body was signed compressed with gzip, and decompressed on its way.
    Decompressed,
    /// The body's JSON was parsed and written anew on its way.
    Reserialised(Rewriting),
}

/// Who has the secret in a wrong form.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// Whoever signed.
    Signer,
    /// This receiver's configuration.
    Receiver,
}

/// Whose a secret is that is known and not configured.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Origin {
    /// This endpoint's, before it was replaced.
    Retired,
    /// Another endpoint's of the same sender.
    OtherEndpoint,
    /// An endpoint's of the other sender.
    OtherSender,
}

/// What differs between the JSON that was signed and the JSON that arrived.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Rewriting {
    /// The white space between tokens.
    Spaces,
    /// The order of keys.
    KeyOrder,
    /// The escapes in strings.
    Escapes,
    /// More than one of these.
    Several,
}

impl Diagnosis {
    /// The diagnosis as one word, for log fields and metric labels: `"prefix_stripped_by_signer"`,
    /// `"no_time"`, ...
    pub fn as_str(self) -> &'static str {
        self.parts().0
    }

    /// The word, and the sentence.
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Unexplained => (
                "unexplained",
                "no known mistake explains the signature: compare the secret with the endpoint's in the portal",
            ),
            Self::BodyTooLong => ("body_too_long", "the body is longer than 64 KiB, so nothing was tried"),
            Self::PrefixStripped(side) => side.prefix_stripped(),
            Self::Base64Decoded(side) => side.base64_decoded(),
            Self::Quoted(side) => side.quoted(),
            Self::LineEnd(side) => side.line_end(),
            Self::WhiteSpace(side) => side.white_space(),
            Self::OtherSecret(origin) => origin.parts(),
            Self::NoTime => ("no_time", "the signer signs the body alone: it has to sign `<t>.<body>`"),
            Self::OtherTime => ("other_time", "the signer signs another time than the `t` that it sends"),
            Self::BodyLineEndAdded => ("body_line_end_added", "a line end was added to the body behind the signer"),
            Self::BodyLineEndCut => ("body_line_end_cut", "the body's last line end was cut off behind the signer"),
            Self::BodyLineEndsChanged => ("body_line_ends_changed", "LF and CR LF were exchanged behind the signer"),
            Self::BomAdded => ("bom_added", "a byte-order mark was put before the body behind the signer"),
            Self::BomCut => ("bom_cut", "the byte-order mark before the body was cut off behind the signer"),
            Self::Compressed => (
                "compressed",
                "something in front compresses the body and does not say so in `Content-Encoding`: turn that off",
            ),
            Self::Decompressed => (
                "decompressed",
                "the signer signs the compressed body, and something in front decompresses it: turn that off",
            ),
            Self::Reserialised(rewriting) => rewriting.parts(),
        }
    }
}

impl Side {
    fn prefix_stripped(self) -> (&'static str, &'static str) {
        match self {
            Self::Signer => (
                "prefix_stripped_by_signer",
                "the signer strips `whsec_` from the secret: the key is the whole text, prefix included",
            ),
            Self::Receiver => (
                "prefix_stripped_here",
                "the configured secret lacks its prefix `whsec_`: configure the whole text, prefix included",
            ),
        }
    }

    fn base64_decoded(self) -> (&'static str, &'static str) {
        match self {
            Self::Signer => (
                "base64_decoded_by_signer",
                "the signer base64-decodes the secret, as libraries for other senders do: the key is the whole text",
            ),
            Self::Receiver => (
                "base64_decoded_here",
                "the configured secret is what follows `whsec_`, base64-decoded: configure the whole text as it is",
            ),
        }
    }

    fn quoted(self) -> (&'static str, &'static str) {
        match self {
            Self::Signer => ("quoted_by_signer", "the signer has the secret in quotes, which become part of its key"),
            Self::Receiver => {
                ("quoted_here", "the configured secret is in quotes, which are part of the key: remove them")
            }
        }
    }

    fn line_end(self) -> (&'static str, &'static str) {
        match self {
            Self::Signer => {
                ("line_end_at_signer", "the signer's secret ends with a line end, which becomes part of its key")
            }
            Self::Receiver => ("line_end_here", "the configured secret ends with a line end: remove it"),
        }
    }

    fn white_space(self) -> (&'static str, &'static str) {
        match self {
            Self::Signer => {
                ("white_space_at_signer", "the signer's secret has white space around it: it becomes part of its key")
            }
            Self::Receiver => ("white_space_here", "the configured secret has white space around it: remove it"),
        }
    }
}

impl Origin {
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Retired => (
                "retired_secret",
                "signed with a secret that was replaced: configure it beside the new one until the sender has changed",
            ),
            Self::OtherEndpoint => (
                "other_endpoints_secret",
                "signed with the secret of another endpoint: the URLs or the secrets of two endpoints are exchanged",
            ),
            Self::OtherSender => (
                "other_senders_secret",
                "signed with the secret of the other sender: the secrets of Circa and Circularo are exchanged",
            ),
        }
    }
}

impl Rewriting {
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Spaces => (
                "json_spaces",
                "the JSON was parsed and written anew behind the signer, with other white space: pass the bytes on as they are",
            ),
            Self::KeyOrder => (
                "json_key_order",
                "the JSON was parsed and written anew behind the signer, its keys in another order: pass the bytes on as they are",
            ),
            Self::Escapes => (
                "json_escapes",
                "the JSON was parsed and written anew behind the signer, with other escapes: pass the bytes on as they are",
            ),
            Self::Several => (
                "json_rewritten",
                "the JSON was parsed and written anew behind the signer: pass the bytes on as they are",
            ),
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parts().1)
    }
}
