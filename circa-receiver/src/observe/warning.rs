//! What a receiver warns about when it is built.

/// Settings that are allowed but unwise.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConfigWarning {
    /// The dedup retention is shorter than the span of the sender's retries: 112,350 s for Circa (Circa documentation, Webhooks).
    RetentionBelowRetrySpan,
}

impl std::fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RetentionBelowRetrySpan => {
                "the dedup retention is shorter than the span of the sender's retries: a late retry would be handled again"
            }
        })
    }
}
