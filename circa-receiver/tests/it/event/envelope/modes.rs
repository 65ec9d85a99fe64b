//! `livemode` and the mode of a receiver.

use circa_receiver::{
    AnyEvent, HandlerError, Mode, Receiver, Routes, Secret,
    testing::{CircaSigner, FakeClock},
};

use super::{CIRCA, NOW, SECRET, body};

/// Contract, section 5: a missing `livemode` is accepted in mode `Any` and refused in `Live` and
/// `Test`; section 1: the other mode's events are ignored.
#[tokio::test]
async fn livemode() {
    let handled = (200, "handled");
    let ignored = (200, "ignored");
    let refused = (400, "bad request");
    let cases = [
        ("any, live", Mode::Any, Some("true"), handled),
        ("any, test", Mode::Any, Some("false"), handled),
        ("any, missing", Mode::Any, None, handled),
        ("any, null", Mode::Any, Some("null"), handled),
        ("live, live", Mode::Live, Some("true"), handled),
        ("live, test", Mode::Live, Some("false"), ignored),
        ("live, missing", Mode::Live, None, refused),
        ("live, null", Mode::Live, Some("null"), refused),
        ("test, live", Mode::Test, Some("true"), ignored),
        ("test, test", Mode::Test, Some("false"), handled),
        ("test, missing", Mode::Test, None, refused),
        ("test, string", Mode::Test, Some(r#""false""#), refused),
    ];
    for (name, mode, livemode, expected) in cases {
        let builder = Receiver::circa(Secret::new(SECRET).unwrap());
        let receiver = builder.mode(mode).clock(FakeClock::at(NOW)).build().unwrap();
        let routes = Routes::new().fallback(async |_: AnyEvent, ()| -> Result<(), HandlerError> { Ok(()) });
        let body = body(&CIRCA, "livemode", livemode);
        let signature = CircaSigner::new(SECRET).sign(NOW, body.as_bytes());
        let headers = [("circa-signature", signature)];
        let response = receiver.handle(&("POST", &headers[..]), body, &routes, ()).await;
        assert_eq!((response.status(), response.body()), expected, "{name}");
    }
}
