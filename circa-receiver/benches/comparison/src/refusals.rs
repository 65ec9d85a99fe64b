//! Floods through the whole receiver: what a refused delivery costs beside an accepted one, and beside one HMAC.

use std::time::Duration;

use bytes::Bytes;
use circa_receiver::{Receiver, Routes, Secret};

use crate::{
    measure::{
        SECRET, headers, now,
        pipeline::{self, Source},
        promise::Promise,
        rounds::{Candidate, Measured, compare, timed},
        stores::STORES,
        table::Table,
        verification::{BOGUS, Signed},
    },
    part::Part,
};

const BUDGET: Duration = Duration::from_secs(4);

pub fn run() -> Part {
    Part::new("floods").with(malformed()).with(forged())
}

/// Malformed headers of every kind, to accepted deliveries.
fn malformed() -> (Table, Vec<Promise>) {
    let source = Source::new(300);
    let v1 = |times: usize, v1: &str| format!("t={}{}", now(), v1.repeat(times));
    let cases = [
        ("empty", String::new()),
        ("60 KB of one letter", "a".repeat(60_000)),
        ("60 KB of commas", ",".repeat(60_000)),
        ("60 KB of spaces", " ".repeat(60_000)),
        ("60 KB around a good form", " ".repeat(30_000) + &v1(1, BOGUS) + &" ".repeat(30_000) + "x"),
        ("9 v1", v1(9, BOGUS)),
        ("300 v1", v1(300, BOGUS)),
        ("5,000 v1", v1(5_000, BOGUS)),
        ("v1 of 63 digits", v1(1, &BOGUS[..67])),
        ("8 v1 of 63 digits", v1(8, &BOGUS[..67])),
        ("1,024 bytes, malformed at the end", format!("{:x<1023},", v1(8, BOGUS) + ",x=")),
        ("17 elements", v1(1, BOGUS) + &",x=".repeat(15)),
    ];
    let accepted = pipeline::candidates(&source).swap_remove(pipeline::FIRST_STORE);
    let mut candidates = vec![accepted];
    candidates.extend(cases.iter().map(|(name, header)| refused(name, header, Bytes::from_static(b"{}"))));
    let measured = compare(&candidates, BUDGET);
    let title = "Floods: deliveries refused for their header; ratios to an accepted one of 300 B";
    let mut table = table(title, &measured);
    table.rows[0][0] = format!("accepted, {}", STORES[0].0).into();
    let promises = measured[1..].iter().map(|refused| {
        Promise::at_most(format!("refused, {}: to an accepted delivery", refused.name), 0.5, refused.median)
    });
    (table, promises.collect())
}

/// Well-formed headers that match nothing, to one HMAC.
fn forged() -> (Table, Vec<Promise>) {
    let signed = Signed::new(1 << 20);
    let body = Bytes::from(signed.body.clone());
    let (one, eight) = (signed.bogus(1), signed.bogus(8));
    let candidates = [
        signed.candidates().swap_remove(1),
        refused("one bogus v1", &one.header, body.clone()),
        refused("eight bogus v1", &eight.header, body),
    ];
    let measured = compare(&candidates, BUDGET / 2);
    let table = table("Floods: forged deliveries of 1 MiB; ratios to one bare HMAC", &measured);
    let promises = measured[1..].iter().map(|refused| {
        Promise::at_most(format!("forged at 1 MiB, {}: to one HMAC", refused.name), 1.05, refused.median)
    });
    (table, promises.collect())
}

fn table(title: &str, measured: &[Measured]) -> Table {
    let mut table = Table::new(title, &["delivery", "ns", "min", "median", "allocations"]);
    for Measured { name, nanoseconds, min, median, allocations } in measured {
        let figures = [nanoseconds.round(), *min, *median, *allocations];
        table.row([name.as_str().into()].into_iter().chain(figures.map(Into::into)));
    }
    table
}

/// A delivery that the receiver answers 401.
fn refused<'a>(name: &str, header: &'a str, body: Bytes) -> Candidate<'a> {
    let receiver = Receiver::circa(Secret::new(SECRET).expect("a good secret")).build().expect("the defaults");
    let routes = Routes::new().fallback(async |_: circa_receiver::AnyEvent, (): ()| Ok(()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let length = body.len().to_string();
    Candidate::in_bulk(name, move |calls| {
        let headers = headers(&length, "evt_1", header);
        timed(|| {
            runtime.block_on(async {
                for _ in 0..calls {
                    let response = receiver.handle(&("POST", &headers[..]), body.clone(), &routes, ()).await;
                    assert_eq!(response.status(), 401);
                }
            });
        })
    })
}
