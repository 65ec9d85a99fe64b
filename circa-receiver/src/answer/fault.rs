//! What is wrong with a payload that is no valid event.

/// Why an authentic body is no valid event: the field, and what is wrong with it. From a closed set
/// of texts; never holds anything of the body.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct PayloadFault {
    field: &'static str,
    problem: &'static str,
}

macro_rules! faults {
    ($($name:ident = $field:literal $problem:literal;)*) => {
        impl PayloadFault {
            $(pub(crate) const $name: Self = Self { field: $field, problem: $problem };)*

            /// Every fault there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

faults! {
    NOT_UTF_8 = "body" "is not UTF-8";
    TOO_DEEP = "body" "is nested more than 128 deep";
    NOT_ONE_OBJECT = "body" "is not one JSON object";
    DUPLICATE_KEY = "body" "has a key twice";
    NO_ID = "id" "is missing";
    BAD_ID = "id" "is not a string of 1 to 255 visible ASCII characters";
    NO_TYPE = "type" "is missing";
    BAD_TYPE = "type" "is not a string of 1 to 128 letters, digits, `_`, `.` or `-`";
    NO_EVENT = "event" "is missing";
    BAD_EVENT = "event" "is not a string of 1 to 128 letters, digits, `_`, `.` or `-`";
    NO_LIVEMODE = "livemode" "is not a boolean, which the receiver's mode needs";
    NO_DOCUMENT = "documentId" "is missing";
    BAD_DOCUMENT = "documentId" "is not a string, or is empty";
    NO_TIMESTAMP = "timestamp" "is missing or of no known form, which `max_event_age` needs";
}

impl PayloadFault {
    /// The field, as its sender calls it: `"id"`, `"type"`, Circularo's `"event"`, ..., or `"body"`.
    pub fn field(self) -> &'static str {
        self.field
    }

    /// What is wrong with it.
    pub fn problem(self) -> &'static str {
        self.problem
    }
}
