//! The whole pipeline in memory: verify, envelope, claim, dispatch in a task, typed event, complete; every event a fresh one.

use std::{hint::black_box, sync::Arc, time::Duration};

use bytes::Bytes;
use circa_receiver::{
    DedupStore, Event, HandlerError, PortableHandler, Receiver, Routes, Secret, event::DatapointPulled,
    testing::CircaSigner,
};
use tokio::runtime::Runtime;

use super::{
    SECRET, body,
    floor::Floor,
    headers, now,
    parsing::{DIRECT, Direct, OWN_FIELDS, OwnFields, read},
    promise::Promise,
    rounds::{Candidate, Counter, Measured, compare, timed},
    size,
    stores::{DEFAULT_CAPACITY, STORES},
    table::Table,
};

/// Fresh events of one size.
pub struct Source {
    bytes: usize,
    signer: CircaSigner,
    ids: Counter,
}

/// One of them, signed.
pub struct Delivery {
    pub id: String,
    pub body: Bytes,
    pub header: String,
}

impl Source {
    pub fn new(bytes: usize) -> Self {
        Self { bytes, signer: CircaSigner::new(SECRET), ids: Counter::default() }
    }

    pub fn fresh(&self) -> Delivery {
        let id = self.ids.next();
        let body = Bytes::from(body::pulled(id, self.bytes));
        // A server hands over a body that is shared already: what sharing it allocates is not the receiver's.
        drop(body.clone());
        Delivery { id: body::id(id), header: self.signer.sign_now(&body), body }
    }
}

/// A receiver with one typed handler, on a runtime of one thread.
pub struct Pipeline {
    runtime: Runtime,
    receiver: Receiver,
    routes: Routes<PortableHandler<()>>,
}

impl Pipeline {
    pub fn new(store: Arc<dyn DedupStore>) -> Self {
        let handler = async |event: Event<DatapointPulled>, (): ()| -> Result<(), HandlerError> {
            black_box(event.data());
            Ok(())
        };
        let secret = Secret::new(SECRET).expect("the secret is long enough");
        let receiver = Receiver::circa(secret).shared_dedup(store).build().expect("the defaults make sense");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
        Self { runtime, receiver, routes: Routes::new().on(handler) }
    }

    /// Receives deliveries one after the other; the handler must have run for each.
    pub fn receive(&self, deliveries: &[Delivery]) {
        let length = deliveries.first().map_or(0, |delivery| delivery.body.len()).to_string();
        self.runtime.block_on(async {
            for Delivery { id, body, header } in deliveries {
                let headers = headers(&length, id, header);
                let response = self.receiver.handle(&("POST", &headers[..]), body.clone(), &self.routes, ()).await;
                let outcome = response.headers().find(|(name, _)| *name == "circa-receiver-outcome");
                assert_eq!(outcome, Some(("circa-receiver-outcome", "handled")));
            }
        });
    }

    fn candidate<'a>(self, name: &str, source: &'a Source) -> Candidate<'a> {
        over(name, source, move |deliveries| self.receive(deliveries))
    }
}

/// Where the first store stands among the candidates.
pub const FIRST_STORE: usize = 3;

/// The floor of verification first, then a direct typed parse, the data alone, and the pipeline with each store.
pub fn candidates(source: &Source) -> Vec<Candidate<'_>> {
    let floor = Floor::new(SECRET);
    let each = |run: fn(&[u8]) -> bool| {
        move |deliveries: &[Delivery]| deliveries.iter().for_each(|delivery| assert!(run(&delivery.body)))
    };
    let verify = move |deliveries: &[Delivery]| {
        deliveries.iter().for_each(|Delivery { body, header, .. }| assert!(floor.verify(header.as_bytes(), body, now)));
    };
    let mut candidates = vec![
        over("verification floor", source, verify),
        over(DIRECT, source, each(|body| serde_json::from_slice::<Direct>(body).is_ok_and(read))),
        over(OWN_FIELDS, source, each(|body| serde_json::from_slice::<OwnFields>(body).is_ok_and(read))),
    ];
    for (name, make) in STORES {
        candidates.push(Pipeline::new(make(DEFAULT_CAPACITY)).candidate(name, source));
    }
    candidates
}

fn over<'a>(name: &str, source: &'a Source, run: impl Fn(&[Delivery]) + 'a) -> Candidate<'a> {
    Candidate::in_bulk(name, move |calls| {
        let deliveries: Vec<Delivery> = (0..calls).map(|_| source.fresh()).collect();
        timed(|| run(&deliveries))
    })
}

/// A table, and what is promised for the pipeline at 300 B.
pub fn run(bytes: usize, budget: Duration) -> (Table, Vec<Promise>) {
    let source = Source::new(bytes);
    let measured = compare(&candidates(&source), budget);
    let title = format!("The whole pipeline in memory, {}; ratios to the floor of verification", size(bytes));
    let mut table = Table::new(title, &["candidate", "ns", "min", "median", "allocations"]);
    for Measured { name, nanoseconds, min, median, allocations } in &measured {
        let figures = [nanoseconds.round(), *min, *median, *allocations];
        let name =
            if STORES.iter().any(|(store, _)| store == name) { format!("pipeline, {name}") } else { name.clone() };
        table.row([name.into()].into_iter().chain(figures.map(Into::into)));
    }
    let of = |name: &str| measured.iter().find(|measured| measured.name == name).expect("it was measured");
    let mut promises = Vec::new();
    for (store, _) in STORES {
        let what = |figure| format!("pipeline at {}, {store}: {figure}", size(bytes));
        let allocations = of(store).allocations - of(OWN_FIELDS).allocations;
        promises.push(Promise::at_most(what("allocations beside the typed fields"), 8.0, allocations));
        let time = of(store).median - of(DIRECT).median;
        promises.push(Promise::at_most(what("time beside the typed parse, to the floor"), 8.0, time));
    }
    (table, promises)
}
