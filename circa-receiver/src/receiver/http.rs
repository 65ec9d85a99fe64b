//! The crate `http` 1: its request heads in, its responses out.

use http::{HeaderValue, StatusCode, header::CONNECTION, request::Parts};

use crate::answer::Response;
use crate::verify::Head;

impl Head for Parts {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    fn path(&self) -> &str {
        self.uri.path()
    }
}

impl<B: From<&'static str>> From<Response> for http::Response<B> {
    fn from(response: Response) -> Self {
        let mut converted = Self::new(B::from(response.body()));
        *converted.status_mut() =
            StatusCode::from_u16(response.status()).expect("the statuses of the table are HTTP's");
        let headers = converted.headers_mut();
        for (name, value) in response.headers() {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if response.closes_connection() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        converted
    }
}
