//! What is stored of a request's head.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sender::Sender;
use crate::verify::Head;

/// Header fields that are stored for every sender, beside the sender's own.
const STORED: [&str; 4] = ["content-type", "user-agent", "traceparent", "tracestate"];

/// So much of a path or a value is stored, in characters.
const MAX_CHARS: usize = 2_048;

/// What an inbox stores of a request's head, for handlers that are run with a request: the path,
/// `content-type`, `user-agent`, `traceparent`, `tracestate`, and the sender's unsigned labels.
/// Never the signature.
///
/// `Debug` shows the path and the names of the fields.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
pub struct StoredHead {
    #[serde(default)]
    path: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
}

impl StoredHead {
    pub(super) fn of(sender: Sender, head: &impl Head) -> Self {
        let spec = sender.spec();
        let own = [spec.id_header, spec.type_header, spec.webhook_id_header];
        let wanted = |name: &str| STORED.iter().chain(&own).any(|wanted| name.eq_ignore_ascii_case(wanted));
        let headers = head.headers().filter(|(name, _)| wanted(name));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), cut(&String::from_utf8_lossy(value))));
        Self { path: cut(head.path()), headers: headers.collect() }
    }

    /// The path of the request's target; `/` where it was not known.
    pub fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// The header fields: names in lower case, and values, in which bytes that are not UTF-8 were
    /// replaced.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of a field by its name in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.headers().find(|(other, _)| *other == name).map(|(_, value)| value)
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

impl fmt::Debug for StoredHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers().map(|(name, _)| name).collect();
        f.debug_struct("StoredHead").field("path", &self.path).field("headers", &names).finish()
    }
}
