//! Shows that the rows hold for the model, and can fail: for each fault that an inbox may have, the
//! row about it fails.
#![allow(clippy::unwrap_used)]

use std::{
    collections::HashMap,
    future::ready,
    panic::catch_unwind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{Subject, behaviours::*, run};
use crate::dedup::{Key, Nonce};
use crate::error::StoreError;
use crate::inbox::{
    AcceptRequest, Accepted, Change, Entry, Failure, Filter, Inbox, Interest, Lease, LeaseRequest, Leased, Pause,
    Record, Settlement, Stats, Wake,
};
use crate::testing::{FakeClock, MemoryInbox};

/// What a [`Faulty`] inbox does wrong. Numbers, so that a subject can be a plain function.
type Fault = usize;

const NONE: Fault = 0;
const NONCE_IGNORED: Fault = 1;
const STALE_LEASE_SETTLES: Fault = 2;
const BACKOFF_FORGOTTEN: Fault = 3;
const POSTPONING_BURNS: Fault = 4;
const GIVING_BACK_BURNS: Fault = 5;
const RENEWAL_DOES_NOTHING: Fault = 6;
const ALL_ENDPOINTS_LEASED: Fault = 7;
const RETENTION_ENDLESS: Fault = 8;
const BODY_CUT: Fault = 9;
const DEAD_RUN_AGAIN: Fault = 10;
const LIMIT_IGNORED: Fault = 11;
const UNREADABLE_IS_READY: Fault = 12;
const BODY_KEPT: Fault = 13;
const ACCEPTS_WITHOUT_ROOM: Fault = 14;

/// The model with a fault.
struct Faulty<const FAULT: Fault> {
    inner: MemoryInbox,
    /// The newest lease of each event.
    newest: Mutex<HashMap<u64, Lease>>,
    /// Has no room for an event more.
    is_full: Arc<AtomicBool>,
}

#[async_trait]
impl<const FAULT: Fault> Inbox for Faulty<FAULT> {
    async fn accept(&self, request: AcceptRequest) -> Result<Accepted, StoreError> {
        if self.is_full.load(Ordering::Relaxed) {
            let full = StoreError::Failed("full".into());
            return if FAULT == ACCEPTS_WITHOUT_ROOM { Ok(Accepted::New) } else { Err(full) };
        }
        let entry = request.entry();
        let request = match FAULT {
            NONCE_IGNORED => AcceptRequest::new(entry.clone(), Nonce::fresh()),
            UNREADABLE_IS_READY => AcceptRequest::new(entry.clone(), request.nonce()),
            BODY_CUT => {
                let body = entry.body().slice(..entry.body().len().min(1_000));
                let cut =
                    Entry::from_parts(entry.endpoint(), entry.event_id(), entry.event_type(), entry.details(), body);
                AcceptRequest::new(cut, request.nonce())
            }
            _ => request,
        };
        self.inner.accept(request).await
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError> {
        let limit = if FAULT == LIMIT_IGNORED { usize::MAX } else { request.limit() };
        let all: Vec<Interest> = request.interests().iter().map(|one| Interest::all(one.endpoint())).collect();
        let interests = if FAULT == ALL_ENDPOINTS_LEASED { &all[..] } else { request.interests() };
        let leased =
            self.inner.lease(LeaseRequest::new(request.worker(), interests, limit, request.duration())).await?;
        let mut newest = self.newest.lock().unwrap();
        newest.extend(leased.iter().map(|leased| (leased.lease().id(), leased.lease())));
        Ok(leased)
    }

    async fn renew(&self, lease: Lease, duration: Duration) -> Result<bool, StoreError> {
        if FAULT == RENEWAL_DOES_NOTHING { Ok(true) } else { self.inner.renew(lease, duration).await }
    }

    async fn settle(&self, lease: Lease, settlement: Settlement) -> Result<bool, StoreError> {
        let newest = self.newest.lock().unwrap().get(&lease.id()).copied().unwrap_or(lease);
        let lease = if FAULT == STALE_LEASE_SETTLES { newest } else { lease };
        let error = String::new();
        let settlement = match (FAULT, settlement) {
            (BACKOFF_FORGOTTEN, Settlement::Retry { .. }) => Settlement::Retry { after: Duration::ZERO, error },
            (POSTPONING_BURNS, Settlement::Postpone { after, .. }) => Settlement::Retry { after, error },
            (GIVING_BACK_BURNS, Settlement::GiveBack) => Settlement::Retry { after: Duration::ZERO, error },
            (DEAD_RUN_AGAIN, Settlement::Bury { .. }) => Settlement::GiveBack,
            (RETENTION_ENDLESS, Settlement::Complete { .. }) => {
                Settlement::Complete { retention: Duration::from_secs(u64::from(u32::MAX)) }
            }
            (BODY_KEPT, Settlement::CompleteWithoutBody { retention }) => Settlement::Complete { retention },
            (_, settlement) => settlement,
        };
        self.inner.settle(lease, settlement).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.inner.forget(key).await
    }

    async fn stats(&self, endpoint: &str) -> Result<Stats, StoreError> {
        self.inner.stats(endpoint).await
    }

    async fn list(&self, filter: &Filter, after: Option<u64>, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.inner.list(filter, after, limit).await
    }

    async fn failures(&self, id: u64) -> Result<Vec<Failure>, StoreError> {
        self.inner.failures(id).await
    }

    async fn change(&self, ids: &[u64], change: Change) -> Result<u64, StoreError> {
        self.inner.change(ids, change).await
    }

    async fn set_paused(&self, pause: &Pause, is_paused: bool) -> Result<bool, StoreError> {
        self.inner.set_paused(pause, is_paused).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.inner.pauses().await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }

    fn wake(&self) -> &Wake {
        self.inner.wake()
    }
}

async fn faulty<const FAULT: Fault>() -> Subject {
    let clock = FakeClock::at(1_747_000_800);
    let inner = MemoryInbox::with_clock(clock.clone());
    let is_full = Arc::new(AtomicBool::new(false));
    let inbox = Faulty::<FAULT> { inner, newest: Mutex::default(), is_full: Arc::clone(&is_full) };
    let fill = |is_full: &Arc<AtomicBool>, to| {
        let is_full = Arc::clone(is_full);
        move || {
            is_full.store(to, Ordering::Relaxed);
            ready(())
        }
    };
    let (full, empty) = (fill(&is_full, true), fill(&is_full, false));
    // The model looks through all that it has.
    Subject::new(inbox, move |time| {
        clock.advance(time);
        ready(())
    })
    .entries(1_000)
    .in_flight(16)
    .outage(full, empty)
}

async fn without_fault() -> Subject {
    faulty::<NONE>().await
}

mod model {
    crate::inbox_tests!(super::without_fault);
    crate::inbox_tests!(full = super::without_fault);
}

/// The row, and the trace, fail for an inbox with this fault.
macro_rules! fails {
    ($($name:ident: $fault:ident => $row:ident;)*) => {
        $(
            #[test]
            fn $name() {
                let fails = |row: fn()| assert!(catch_unwind(row).is_err(), "it did not fail");
                fails(|| run(faulty::<$fault>, $row));
            }
        )*
    };
}

fails! {
    an_ignored_nonce_is_found: NONCE_IGNORED => an_accept_may_be_repeated_by_its_nonce;
    an_ignored_nonce_is_found_by_traces: NONCE_IGNORED => random_traces_are_answered_as_by_the_model;
    a_missing_fence_is_found: STALE_LEASE_SETTLES => a_stale_lease_does_nothing;
    a_missing_fence_is_found_by_traces: STALE_LEASE_SETTLES => random_traces_are_answered_as_by_the_model;
    a_forgotten_backoff_is_found: BACKOFF_FORGOTTEN => a_failed_event_waits_for_its_backoff;
    a_burnt_postponement_is_found: POSTPONING_BURNS => a_postponed_event_uses_up_no_attempt;
    a_burnt_return_is_found: GIVING_BACK_BURNS => what_is_given_back_is_ready_and_uses_up_no_attempt;
    a_renewal_without_effect_is_found: RENEWAL_DOES_NOTHING => a_renewed_lease_counts_from_the_renewal;
    types_of_others_are_found: ALL_ENDPOINTS_LEASED => only_what_a_worker_can_run_is_leased;
    an_ignored_limit_of_an_interest_is_found: ALL_ENDPOINTS_LEASED => a_limited_interest_leaves_the_rest_to_others;
    an_endpoint_without_its_tenants_is_found: ALL_ENDPOINTS_LEASED => events_of_tenants_are_found_by_their_endpoint;
    an_endless_retention_is_found: RETENTION_ENDLESS => a_done_event_is_remembered_for_the_retention;
    a_kept_body_is_found: BODY_KEPT => the_body_of_a_done_event_is_kept_or_dropped;
    a_cut_body_is_found: BODY_CUT => what_was_accepted_comes_back_as_it_was;
    the_living_dead_are_found: DEAD_RUN_AGAIN => a_dead_event_is_never_leased_and_never_forgotten;
    an_ignored_limit_is_found: LIMIT_IGNORED => no_more_than_the_limit_is_leased_the_oldest_first;
    an_answer_without_room_is_found: ACCEPTS_WITHOUT_ROOM => nothing_is_lost_while_the_database_is_full;
    an_unreadable_event_that_runs_is_found: UNREADABLE_IS_READY => an_unreadable_event_is_dead_at_once;
}
