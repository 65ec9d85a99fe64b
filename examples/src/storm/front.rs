//! What stands in front of the receivers, as a load balancer does: deliveries go to those that
//! accept connections, in turn, and every answer is written down.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use axum::http::Request;
use circa_receiver::testing::{Answer, HttpTarget, SimulatedBody, Target};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

/// How long a delivery waits for a receiver that accepts connections, and how often it looks.
const ACCEPTS_WITHIN: Duration = Duration::from_secs(3);
const LOOKS_EVERY: Duration = Duration::from_millis(50);

/// One for all deliveries.
#[derive(Debug)]
pub(super) struct Front {
    addresses: Vec<String>,
    next: Cell<usize>,
    book: RefCell<Book>,
}

/// What was answered.
#[derive(Debug, Default)]
struct Book {
    /// How often which status and outcome; none where the connection ended, or the sender had
    /// waited long enough.
    answers: BTreeMap<String, usize>,
    /// By event: whether a delivery was answered 2xx.
    is_answered: BTreeMap<String, bool>,
}

impl Front {
    pub(super) fn new(addresses: Vec<String>) -> Rc<Self> {
        Rc::new(Self { addresses, next: Cell::new(0), book: RefCell::default() })
    }

    /// Of one event, under the name by which it stands in the ledger.
    pub(super) fn of(self: &Rc<Self>, event: &str) -> Deliveries {
        Deliveries { front: Rc::clone(self), event: event.to_owned() }
    }

    /// How often which status and outcome was answered.
    pub(super) fn answers(&self) -> BTreeMap<String, usize> {
        self.book.borrow().answers.clone()
    }

    /// Whether some delivery of the event was answered 2xx.
    pub(super) fn is_answered(&self, event: &str) -> bool {
        self.book.borrow().is_answered.get(event).copied().unwrap_or_default()
    }

    /// Whether all receivers accept connections.
    pub(super) async fn is_open(&self) -> bool {
        for address in &self.addresses {
            if TcpStream::connect(address).await.is_err() {
                return false;
            }
        }
        true
    }

    async fn find(&self) -> Option<&str> {
        let deadline = Instant::now() + ACCEPTS_WITHIN;
        loop {
            for _ in &self.addresses {
                let next = self.next.get();
                self.next.set((next + 1) % self.addresses.len());
                if TcpStream::connect(&self.addresses[next]).await.is_ok() {
                    return Some(&self.addresses[next]);
                }
            }
            if Instant::now() >= deadline {
                return None;
            }
            sleep(LOOKS_EVERY).await;
        }
    }

    fn write_down(&self, event: &str, answer: Option<&Answer>) {
        let told = answer.map(|answer| format!("{} {}", answer.status(), answer.outcome().unwrap_or_default()));
        let told = told.map_or_else(|| "no answer".to_owned(), |told| told.trim_end().to_owned());
        let mut book = self.book.borrow_mut();
        *book.answers.entry(told).or_default() += 1;
        *book.is_answered.entry(event.to_owned()).or_default() |= answer.is_some_and(Answer::is_success);
    }
}

/// The deliveries of one event.
#[derive(Debug)]
pub(super) struct Deliveries {
    front: Rc<Front>,
    event: String,
}

impl Target for Deliveries {
    async fn deliver(&self, request: Request<SimulatedBody>) -> Option<Answer> {
        let mut delivery = Delivery { deliveries: self, answer: None };
        if let Some(address) = self.front.find().await {
            delivery.answer = HttpTarget::new(address).deliver(request).await;
        }
        delivery.answer.clone()
    }
}

/// Written down when dropped: also where the sender has hung up.
struct Delivery<'d> {
    deliveries: &'d Deliveries,
    answer: Option<Answer>,
}

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        self.deliveries.front.write_down(&self.deliveries.event, self.answer.as_ref());
    }
}
