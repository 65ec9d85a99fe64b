//! An answer to the sender, before a framework makes its own response of it.

/// An answer: status, headers and body, the same from every framework.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Response {
    status: u16,
    header: Option<(&'static str, &'static str)>,
    body: &'static str,
    closes_connection: bool,
}

impl Response {
    /// The HTTP status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers: names in lower case, and values.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        [("content-type", "text/plain; charset=utf-8")].into_iter().chain(self.header)
    }

    /// Whether an HTTP/1 connection is to be closed, with the header that says so: where the
    /// request's body may not have been read to its end, and for every 401, so that none tells by
    /// this whether the body was read. Servers do it one way or the other; this makes it one way.
    pub fn closes_connection(&self) -> bool {
        self.closes_connection
    }

    /// The body: a word or two, nothing of the request.
    pub fn body(&self) -> &'static str {
        self.body
    }
}

impl Response {
    pub(super) fn closing(self) -> Self {
        Self { closes_connection: true, ..self }
    }
}

pub(crate) fn plain(status: u16, body: &'static str) -> Response {
    Response { status, header: None, body, closes_connection: false }
}

pub(crate) fn with_header(status: u16, header: (&'static str, &'static str), body: &'static str) -> Response {
    Response { header: Some(header), ..plain(status, body) }
}
