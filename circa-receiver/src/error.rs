//! Errors that several stages share: any error, and the failure of a store.

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A dedup store or an inbox failed. For logs; the sender sees a 503.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No answer within the store timeout.
    #[error("the store did not answer in time")]
    Timeout,
    /// The store reported an error.
    #[error("the store failed: {0}")]
    Failed(#[source] BoxError),
}
