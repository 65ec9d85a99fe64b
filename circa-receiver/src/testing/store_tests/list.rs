//! The macro that makes tests of the behaviours.

/// Makes a test of every behaviour that a dedup store must show, each named as in
/// [`behaviours`](crate::testing::store_tests::behaviours).
///
/// `store_tests!(subject)`, where `async fn subject() -> Subject` makes a
/// [`Subject`](crate::testing::store_tests::Subject): it is called for every row.
///
/// `store_tests!(subject, outage = other)` adds the rows that take the store's server away and
/// bring it back: `calls_fail_in_time_while_the_store_is_away_and_work_when_it_is_back` and
/// `a_token_from_before_an_outage_stays_fenced`. `other` makes the subject for them, with
/// [`Subject::outage`](crate::testing::store_tests::Subject::outage) and a server that no other row
/// uses. A store without a server, as the memory store and the SQLite store, has no such rows.
///
/// Two lists in one file stand in a module each.
#[macro_export]
macro_rules! store_tests {
    ($subject:path $(,)?) => {
        $crate::store_tests! { @rows run, $subject:
            a_store_that_works_says_so,
            absent_then_in_progress_then_done,
            a_released_claim_can_be_won_again,
            the_same_delivery_may_repeat_its_claim,
            the_body_is_remembered_by_its_fingerprint,
            a_take_over_brings_its_own_body,
            forget_removes_only_what_is_done,
            a_withdrawn_claim_can_be_won_again,
            withdraw_gives_up_only_the_claim_of_its_nonce,
            a_late_withdrawal_does_nothing,
            what_was_never_claimed_is_not_held,
            a_stale_token_does_nothing,
            a_token_is_spent_by_complete,
            every_claim_of_a_key_has_a_token_of_its_own,
            a_lapsed_lease_is_taken_over_with_a_higher_token,
            a_renewed_lease_counts_from_the_renewal,
            a_done_event_is_remembered_for_the_retention,
            no_entry_in_progress_outlasts_the_lease_that_is_asked_for,
            no_two_keys_collide,
            a_claim_dropped_at_any_await_can_be_repeated,
            a_claim_dropped_at_any_await_lapses,
            a_renewal_dropped_at_any_await_can_be_repeated,
            a_complete_dropped_at_any_await_can_be_repeated,
            a_release_dropped_at_any_await_can_be_repeated,
            a_withdrawal_dropped_at_any_await_can_be_repeated,
            a_forget_dropped_at_any_await_can_be_repeated,
            a_check_dropped_at_any_await_can_be_repeated,
            random_traces_are_answered_as_by_the_model,
        }
        $crate::store_tests! { @rows run_alone, $subject:
            of_many_threads_exactly_one_wins_each_key,
            of_many_threads_exactly_one_takes_over,
            of_many_threads_exactly_one_completes_each_key,
            of_a_late_complete_and_a_take_over_one_succeeds,
            retained_entries_do_not_slow_the_store,
        }
    };
    ($subject:path, outage = $other:path $(,)?) => {
        $crate::store_tests!($subject);
        $crate::store_tests! { @rows run, $other:
            calls_fail_in_time_while_the_store_is_away_and_work_when_it_is_back,
            a_token_from_before_an_outage_stays_fenced,
        }
    };
    (@rows $run:ident, $subject:path: $($behaviour:ident,)*) => {
        $(
            #[test]
            fn $behaviour() {
                $crate::testing::store_tests::$run($subject, $crate::testing::store_tests::behaviours::$behaviour);
            }
        )*
    };
}
