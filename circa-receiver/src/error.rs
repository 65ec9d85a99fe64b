//! Errors that several stages share: any error, and the failure of a store.

#[cfg(feature = "tracing")]
use std::{error::Error, fmt};

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A dedup store or an inbox failed. For logs; the sender sees a 503.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No answer within the store timeout.
    #[error("the store did not answer in time")]
    Timeout,
    /// The store reported this error.
    #[error(transparent)]
    Failed(BoxError),
}

/// An error with its causes in one line, for logs: `: ` stands before each cause.
///
/// A cause that an error's own text repeats is left out.
#[cfg(feature = "tracing")]
pub(crate) struct WithCauses<'e>(pub(crate) &'e (dyn Error + 'static));

#[cfg(feature = "tracing")]
impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut next = self.0.source();
        while let Some(error) = next {
            let cause = error.to_string();
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
            next = error.source();
        }
        f.write_str(&text)
    }
}

#[cfg(all(test, feature = "tracing"))]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn causes_stand_behind_the_error_once() {
        let refused = || Some(Box::new(Layer("connection refused", None)));
        let cases = [
            ("no cause", Layer("away", None), "away"),
            ("a cause", Layer("not booked", refused()), "not booked: connection refused"),
            ("a cause that is repeated", Layer("io: connection refused", refused()), "io: connection refused"),
        ];
        for (name, error, expected) in cases {
            assert_eq!(WithCauses(&error).to_string(), expected, "{name}");
        }
    }
}
