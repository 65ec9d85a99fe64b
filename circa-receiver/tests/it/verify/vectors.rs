//! Every case of `vectors/cases.json` below the receiver: what the verifier and the envelope judge,
//! and what refuses to be built.

use circa_receiver::Rejection;
use circa_receiver::testing::unix_time;

use crate::support::vectors::{Case, Layer, Verdict, run};

#[test]
fn every_case_belongs_to_a_layer_that_is_run() {
    let cases = Case::all();
    let count = |layer| cases.iter().filter(|case| case.layer == layer).count();
    let counts = [Layer::Signature, Layer::Event, Layer::Mac, Layer::Config, Layer::Http].map(count);
    assert_eq!((counts, cases.len()), ([45, 25, 22, 6, 13], 111));
    let ids: std::collections::HashSet<_> = cases.iter().map(|case| &case.id).collect();
    assert_eq!(ids.len(), cases.len(), "ids are unique");
}

/// Contract, sections 2 and 3: verification alone decides. For the layer `event` it accepts, and
/// the envelope decides.
#[test]
fn verifier() {
    let check = |case: &Case| {
        let headers = case.headers();
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let verified = case.verifier().verify(pairs, case.body(), unix_time(case.now));
        let end = match (case.layer, verified) {
            (Layer::Event, Ok(verified)) => verified.event().map(drop),
            (Layer::Event, Err(rejection)) => return Err(format!("not authentic: {rejection}")),
            (_, verified) => verified.map(drop),
        };
        match (case.expect.verdict, end) {
            (Verdict::Accept | Verdict::Ignored, Ok(())) => Ok(()),
            (Verdict::Reject, Err(rejection)) => case.wrong_reason(rejection.reason()).map_or(Ok(()), Err),
            (verdict, end) => Err(format!("{verdict:?} was expected, not {end:?}")),
        }
    };
    assert_eq!(run(&[Layer::Signature, Layer::Event, Layer::Mac], check), 45 + 25 + 22);
}

/// As [`verifier`] for the MAC alone, one byte of the body changed: a known answer is the answer to
/// one body only.
#[test]
fn a_known_mac_of_another_body_is_refused() {
    let check = |case: &Case| {
        let headers = case.headers();
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let body = [&case.body()[..], b"\0"].concat();
        match case.verifier().verify(pairs, body, unix_time(case.now)) {
            Err(Rejection::SignatureMismatch) => Ok(()),
            end => Err(format!("{end:?}")),
        }
    };
    assert_eq!(run(&[Layer::Mac], check), 22);
}

/// Contract, section 4: refused when the receiver is built.
#[test]
fn refused_at_build() {
    let check = |case: &Case| match (case.expect.verdict, case.secrets()) {
        (Verdict::RefusedAtBuild, Err(_)) => Ok(()),
        (verdict, built) => Err(format!("{verdict:?} was expected, not {built:?}")),
    };
    assert_eq!(run(&[Layer::Config], check), 6);
}
