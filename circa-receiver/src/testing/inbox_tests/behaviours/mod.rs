//! The rows: what every inbox must do, seen through [`Inbox`](crate::Inbox) alone.
//!
//! Each takes an inbox that no other row changes the endpoints of, and panics with what the inbox
//! did wrong.
#![allow(clippy::missing_panics_doc, reason = "all of them do, and it is said above")]

mod accepting;
mod cancellation;
mod control;
mod full;
mod leasing;
mod outage;
mod races;
mod settling;
mod size;
mod traces;

pub use accepting::{
    accepted_then_leased_then_done, an_accept_may_be_repeated_by_its_nonce, an_inbox_that_works_says_so,
    an_unreadable_event_is_dead_at_once, no_two_keys_collide, the_body_is_remembered_by_its_fingerprint,
    what_was_accepted_comes_back_as_it_was,
};
pub use cancellation::{
    a_lease_dropped_at_any_await_lapses, a_renewal_dropped_at_any_await_can_be_repeated,
    a_settlement_dropped_at_any_await_can_be_repeated, an_accept_dropped_at_any_await_can_be_repeated,
};
pub use control::{
    a_replay_runs_the_dead_letters_that_there_were, events_are_listed_by_what_they_have_in_common,
    every_failed_attempt_is_kept, what_is_discarded_can_be_restored_until_its_retention_ends,
    what_is_paused_is_accepted_and_not_run,
};
pub use full::nothing_is_lost_while_the_database_is_full;
pub use leasing::{
    a_lapsed_lease_is_leased_again_with_a_higher_token, a_leased_event_is_not_leased_again,
    a_limited_interest_leaves_the_rest_to_others, a_renewed_lease_counts_from_the_renewal, a_stale_lease_does_nothing,
    events_of_tenants_are_found_by_their_endpoint, no_more_than_the_limit_is_leased_the_oldest_first,
    only_what_a_worker_can_run_is_leased, what_was_never_leased_is_not_held,
};
pub use outage::calls_fail_in_time_while_the_inbox_is_away_and_work_when_it_is_back;
pub use races::{of_many_deliveries_at_once_one_is_accepted, of_many_workers_one_leases_each_event};
pub use settling::{
    a_dead_event_is_never_leased_and_never_forgotten, a_done_event_is_remembered_for_the_retention,
    a_failed_event_waits_for_its_backoff, a_lease_is_spent_by_its_settlement, a_postponed_event_uses_up_no_attempt,
    forget_removes_only_what_is_done, stats_count_what_is_not_done, the_body_of_a_done_event_is_kept_or_dropped,
    what_is_given_back_is_ready_and_uses_up_no_attempt,
};
pub use size::done_events_do_not_slow_the_inbox;
pub use traces::random_traces_are_answered_as_by_the_model;
