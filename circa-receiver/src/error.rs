//! Errors that several stages share: any error, and the failure of a store.

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The dedup store failed. For logs; the sender sees a 503.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No answer within the store timeout.
    #[error("the dedup store did not answer in time")]
    Timeout,
    /// The store reported an error.
    #[error("the dedup store failed: {0}")]
    Failed(#[source] BoxError),
}
