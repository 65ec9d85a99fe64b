//! What all measurements share: bodies of an exact size, the floor, alternating rounds with counted allocations, tables and promises.
//!
//! Candidates are timed side by side in one run, in turn; ratios, not times, are what counts.
#![allow(dead_code, unreachable_pub)] // Each program takes what it needs.

pub mod body;
pub mod floor;
pub mod parsing;
pub mod pipeline;
pub mod promise;
pub mod rounds;
pub mod stores;
pub mod table;
pub mod verification;

/// What everything is signed with.
pub const SECRET: &str = "whsec_test_0123456789abcdef";

/// The headers that Circa sends, and those that any client sends. `length` is that of the body.
pub fn headers<'a>(length: &'a str, event_id: &'a str, signature: &'a str) -> [(&'static str, &'a [u8]); 8] {
    [
        ("host", b"example.com"),
        ("content-type", b"application/json"),
        ("content-length", length.as_bytes()),
        ("user-agent", b"Circa-Webhooks/1.0"),
        ("circa-event", b"datapoint.pulled"),
        ("circa-event-id", event_id.as_bytes()),
        ("circa-webhook-id", b"wh_8c2a17a4"),
        ("circa-signature", signature.as_bytes()),
    ]
}

/// Now, in unix seconds: one reading of the system's clock.
pub fn now() -> i64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() as i64)
}

/// A size as people write it: `300 B`, `4 KiB`, `1 MiB`.
pub fn size(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}
