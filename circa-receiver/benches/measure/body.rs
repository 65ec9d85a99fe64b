//! Bodies of an exact size.

use std::fmt::Write as _;

/// A body to be verified and not read: one long string as its data. At least 70 bytes.
pub fn filled(size: usize) -> Vec<u8> {
    let mut body = br#"{"id":"evt_1","type":"datapoint.pulled","livemode":true,"data":""#.to_vec();
    body.resize(size - 2, b'a');
    body.extend_from_slice(b"\"}");
    body
}

/// The id of an event made by [`pulled`].
pub fn id(number: u64) -> String {
    format!("evt_{number:032}")
}

/// A `datapoint.pulled` of an exact size with an id of its own, its list of properties as long as it takes. At least 280 bytes.
pub fn pulled(number: u64, size: usize) -> Vec<u8> {
    let mut body = format!(
        r#"{{"id":"{}","type":"datapoint.pulled","created":1747000800,"livemode":true,"teamId":"4b6f9c28-6f4e-4e7f-a36d-2ff989045d10","data":{{"unit":"property","materialId":"8c2a17a4-1234-4d1e-9b21-3a8e2c91c0a1","userId":"u_a13c","propertyIds":["#,
        id(number)
    );
    let end = "]}}";
    // Ids as long as those of the sender, 36 characters; what is left goes into the last.
    let mut property = 0;
    while size - body.len() - end.len() >= 2 * 39 {
        let _ = write!(body, r#""18a58f02-1234-4d1e-9b21-{property:012}","#);
        property += 1;
    }
    let last = size - body.len() - end.len() - 2;
    let _ = write!(body, r#""{property:0last$}"{end}"#);
    assert_eq!(body.len(), size);
    body.into_bytes()
}
