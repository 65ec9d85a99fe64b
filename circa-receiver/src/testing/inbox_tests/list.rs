//! The macro that makes tests of the behaviours.

/// Makes a test of every behaviour that an inbox must show, each named as in
/// [`behaviours`](crate::testing::inbox_tests::behaviours).
///
/// `inbox_tests!(subject)`, where `async fn subject() -> Subject` makes a
/// [`Subject`](crate::testing::inbox_tests::Subject): it is called for every row.
///
/// `inbox_tests!(subject, outage = other)` adds the rows that take the inbox's server away and
/// bring it back, for which `other` makes a subject with
/// [`Subject::outage`](crate::testing::inbox_tests::Subject::outage) and a server that no other row
/// uses.
///
/// `inbox_tests!(full = other)` makes the row about a full database, for which the
/// [`outage`](crate::testing::inbox_tests::Subject::outage) of `other`'s subject takes all room but
/// little, and makes room again.
#[macro_export]
macro_rules! inbox_tests {
    (full = $subject:path $(,)?) => {
        $crate::inbox_tests! { @rows run, $subject:
            nothing_is_lost_while_the_database_is_full,
        }
    };
    ($subject:path $(,)?) => {
        $crate::inbox_tests! { @rows run, $subject:
            an_inbox_that_works_says_so,
            accepted_then_leased_then_done,
            what_was_accepted_comes_back_as_it_was,
            an_accept_may_be_repeated_by_its_nonce,
            the_body_is_remembered_by_its_fingerprint,
            an_unreadable_event_is_dead_at_once,
            no_two_keys_collide,
            a_leased_event_is_not_leased_again,
            only_what_a_worker_can_run_is_leased,
            a_limited_interest_leaves_the_rest_to_others,
            events_of_tenants_are_found_by_their_endpoint,
            no_more_than_the_limit_is_leased_the_oldest_first,
            a_lapsed_lease_is_leased_again_with_a_higher_token,
            a_renewed_lease_counts_from_the_renewal,
            a_stale_lease_does_nothing,
            what_was_never_leased_is_not_held,
            a_failed_event_waits_for_its_backoff,
            a_postponed_event_uses_up_no_attempt,
            what_is_given_back_is_ready_and_uses_up_no_attempt,
            a_dead_event_is_never_leased_and_never_forgotten,
            a_lease_is_spent_by_its_settlement,
            a_done_event_is_remembered_for_the_retention,
            the_body_of_a_done_event_is_kept_or_dropped,
            forget_removes_only_what_is_done,
            stats_count_what_is_not_done,
            events_are_listed_by_what_they_have_in_common,
            every_failed_attempt_is_kept,
            a_replay_runs_the_dead_letters_that_there_were,
            what_is_discarded_can_be_restored_until_its_retention_ends,
            what_is_paused_is_accepted_and_not_run,
            an_accept_dropped_at_any_await_can_be_repeated,
            a_lease_dropped_at_any_await_lapses,
            a_renewal_dropped_at_any_await_can_be_repeated,
            a_settlement_dropped_at_any_await_can_be_repeated,
            random_traces_are_answered_as_by_the_model,
        }
        $crate::inbox_tests! { @rows run_alone, $subject:
            of_many_deliveries_at_once_one_is_accepted,
            of_many_workers_one_leases_each_event,
            done_events_do_not_slow_the_inbox,
        }
    };
    ($subject:path, outage = $other:path $(,)?) => {
        $crate::inbox_tests!($subject);
        $crate::inbox_tests! { @rows run, $other:
            calls_fail_in_time_while_the_inbox_is_away_and_work_when_it_is_back,
        }
    };
    (@rows $run:ident, $subject:path: $($behaviour:ident,)*) => {
        $(
            #[test]
            fn $behaviour() {
                $crate::testing::inbox_tests::$run($subject, $crate::testing::inbox_tests::behaviours::$behaviour);
            }
        )*
    };
}
