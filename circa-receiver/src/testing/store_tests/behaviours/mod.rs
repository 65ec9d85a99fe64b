//! The rows: what every dedup store must do, seen through [`DedupStore`](crate::DedupStore) alone.
//!
//! Each takes a store that no other row changes the keys of, and panics with what the store did
//! wrong.
#![allow(clippy::missing_panics_doc, reason = "all of them do, and it is said above")]

mod cancellation;
mod claims;
mod fencing;
mod keys;
mod outage;
mod races;
mod size;
mod time;
mod traces;
mod withdrawal;

pub use cancellation::{
    a_check_dropped_at_any_await_can_be_repeated, a_claim_dropped_at_any_await_can_be_repeated,
    a_claim_dropped_at_any_await_lapses, a_complete_dropped_at_any_await_can_be_repeated,
    a_forget_dropped_at_any_await_can_be_repeated, a_release_dropped_at_any_await_can_be_repeated,
    a_renewal_dropped_at_any_await_can_be_repeated, a_withdrawal_dropped_at_any_await_can_be_repeated,
};
pub use claims::{
    a_released_claim_can_be_won_again, a_store_that_works_says_so, a_take_over_brings_its_own_body,
    absent_then_in_progress_then_done, forget_removes_only_what_is_done, the_body_is_remembered_by_its_fingerprint,
    the_same_delivery_may_repeat_its_claim, what_was_never_claimed_is_not_held,
};
pub use fencing::{
    a_stale_token_does_nothing, a_token_is_spent_by_complete, every_claim_of_a_key_has_a_token_of_its_own,
};
pub use keys::no_two_keys_collide;
pub use outage::{
    a_token_from_before_an_outage_stays_fenced, calls_fail_in_time_while_the_store_is_away_and_work_when_it_is_back,
};
pub use races::{
    of_a_late_complete_and_a_take_over_one_succeeds, of_many_threads_exactly_one_completes_each_key,
    of_many_threads_exactly_one_takes_over, of_many_threads_exactly_one_wins_each_key,
};
pub use size::retained_entries_do_not_slow_the_store;
pub use time::{
    a_done_event_is_remembered_for_the_retention, a_lapsed_lease_is_taken_over_with_a_higher_token,
    a_renewed_lease_counts_from_the_renewal, no_entry_in_progress_outlasts_the_lease_that_is_asked_for,
};
pub use traces::random_traces_are_answered_as_by_the_model;
pub use withdrawal::{
    a_late_withdrawal_does_nothing, a_withdrawn_claim_can_be_won_again, withdraw_gives_up_only_the_claim_of_its_nonce,
};
