//! Whether traffic should come here: what `/livez` and `/readyz` answer.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};

use crate::answer::{Response, plain, with_header};
use crate::inbox::Worker;
use crate::receiver::Receivers;

/// Health checks come from several sides, and must not load the store.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// Whether the receivers of a process can take deliveries. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Inner>);

/// What a health check asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Probe {
    /// Whether the process lives: always, where it answers. An orchestrator restarts it otherwise.
    Live,
    /// Whether deliveries should come here: not while a dedup store or an inbox does not answer,
    /// and not after SIGTERM. A load balancer goes elsewhere then.
    Ready,
}

#[derive(Debug)]
struct Inner {
    receivers: Receivers,
    /// That run what the receivers put in an inbox.
    workers: RwLock<Vec<Worker>>,
    is_stopping: AtomicBool,
    /// When the stores were asked last, and whether all could be used.
    asked: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    pub(super) fn new(receivers: Receivers) -> Self {
        let (workers, is_stopping, asked) = (RwLock::default(), AtomicBool::new(false), Mutex::default());
        Self(Arc::new(Inner { receivers, workers, is_stopping, asked }))
    }

    pub(super) fn receivers(&self) -> &Receivers {
        &self.0.receivers
    }

    pub(super) fn fall(&self) {
        self.0.is_stopping.store(true, Ordering::Release);
    }

    /// Counts a worker in, one that runs in this process what its receivers put in an inbox.
    pub fn watch(&self, worker: Worker) {
        self.0.workers.write().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    /// Whether deliveries should come here. The dedup stores are asked at most once a second.
    ///
    /// # Errors
    ///
    /// Why not, in words for whoever reads the health check.
    pub async fn check(&self) -> Result<(), &'static str> {
        if self.0.is_stopping.load(Ordering::Acquire) {
            return Err("stopping");
        }
        if !self.workers_are_healthy() {
            return Err("the inbox does not answer its worker");
        }
        if self.stores_answer().await { Ok(()) } else { Err("the dedup store or the inbox does not answer") }
    }

    /// The answer to a health check with this method: 200 `ok`, or 503; 405 unless it is GET or
    /// HEAD.
    pub async fn answer(&self, method: &str, probe: Probe) -> Response {
        if !matches!(method, "GET" | "HEAD") {
            return with_header(405, ("allow", "GET, HEAD"), "method not allowed");
        }
        let checked = match probe {
            Probe::Live => Ok(()),
            Probe::Ready => self.check().await,
        };
        checked.map_or_else(|why| plain(503, why), |()| plain(200, "ok"))
    }

    fn workers_are_healthy(&self) -> bool {
        self.0.workers.read().unwrap_or_else(PoisonError::into_inner).iter().all(Worker::is_healthy)
    }

    async fn stores_answer(&self) -> bool {
        let mut asked = self.0.asked.lock().await;
        if let Some((at, answered)) = *asked {
            if at.elapsed() < ASKED_EVERY {
                return answered;
            }
        }
        let answered = self.0.receivers.check_stores().await.is_ok();
        *asked = Some((Instant::now(), answered));
        answered
    }
}
