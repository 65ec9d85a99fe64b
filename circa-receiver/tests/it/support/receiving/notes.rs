//! An observer that keeps notes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use circa_receiver::{
    BoxError, ConfigWarning, Delivery, Diagnosis, HandlerError, Observer, Rejection, StoreOperation, dedup::StoreError,
};

/// What an observer was told, a line each, in order.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|other| other.starts_with(line)).count()
    }

    /// The reason of the only refusal; what the observer is told of a stale delivery with its skew.
    pub(crate) fn reason(&self) -> Option<String> {
        self.all().iter().find_map(|line| line.strip_prefix("rejected ").map(str::to_owned))
    }

    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Observer for Notes {
    fn received(&self, endpoint: &str) {
        self.note(format!("received {endpoint}"));
    }

    fn rejected(&self, _: &str, rejection: Rejection) {
        let skew =
            if let Rejection::Stale { skew_seconds } = rejection { format!(" {skew_seconds}") } else { String::new() };
        self.note(format!("rejected {}{skew}", rejection.reason()));
    }

    fn diagnosed(&self, _: &str, diagnosis: Diagnosis) {
        self.note(format!("diagnosed {diagnosis:?}"));
    }

    fn authenticated(&self, delivery: &Delivery) {
        let secret = delivery.event().secret().map_or("none".to_owned(), ToString::to_string);
        self.note(format!("authenticated {} by {secret}", delivery.event().id()));
    }

    fn ignored(&self, _: &Delivery) {
        self.note("ignored".to_owned());
    }

    fn duplicate(&self, _: &Delivery, same_body: bool) {
        self.note(format!("duplicate same_body={same_body}"));
    }

    fn accepted(&self, _: &Delivery) {
        self.note("accepted".to_owned());
    }

    fn inbox_unavailable(&self, _: &str, _: &StoreError) {
        self.note("inbox unavailable".to_owned());
    }

    fn inbox_available(&self, _: &str) {
        self.note("inbox available".to_owned());
    }

    fn handled(&self, _: &Delivery, _: Duration) {
        self.note("handled".to_owned());
    }

    fn failed(&self, _: &Delivery, error: &HandlerError, _: Duration) {
        self.note(format!("failed: {error}"));
    }

    fn retried(&self, _: &Delivery, after: Duration) {
        self.note(format!("retried after {} s", after.as_secs()));
    }

    fn given_back(&self, endpoint: &str) {
        self.note(format!("given back at {endpoint}"));
    }

    fn dead_lettered(&self, _: &Delivery, error: &HandlerError) {
        self.note(format!("dead-lettered: {error}"));
    }

    fn dead_letter_failed(&self, _: &Delivery, error: &BoxError) {
        self.note(format!("dead letter failed: {error}"));
    }

    fn unfinished(&self, _: &Delivery) {
        self.note("unfinished".to_owned());
    }

    fn store_error(&self, _: &Delivery, operation: StoreOperation, _: &StoreError) {
        self.note(format!("store error at {operation}"));
    }

    fn claim_lost(&self, _: &Delivery) {
        self.note("claim lost".to_owned());
    }

    fn config_warning(&self, endpoint: &str, warning: ConfigWarning) {
        self.note(format!("warning at {endpoint}: {warning:?}"));
    }
}
