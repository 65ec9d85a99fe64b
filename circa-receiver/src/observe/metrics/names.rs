//! Every metric, with what it means: the names that dashboards and alerts use.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(super) const DELIVERIES: &str = "circa_receiver_deliveries_total";
pub(super) const ANSWER_DURATION: &str = "circa_receiver_answer_duration_seconds";
pub(super) const CONSECUTIVE_FAILURES: &str = "circa_receiver_consecutive_failures";
pub(super) const IN_PROGRESS: &str = "circa_receiver_in_progress";
pub(super) const SKEW: &str = "circa_receiver_signature_skew_seconds";
pub(super) const SECRET_LAST_MATCH: &str = "circa_receiver_secret_last_match_timestamp_seconds";
pub(super) const HANDLER_DURATION: &str = "circa_receiver_handler_duration_seconds";
pub(super) const EVENT_AGE: &str = "circa_receiver_event_age_seconds";
pub(super) const STORE_CALL_DURATION: &str = "circa_receiver_store_call_duration_seconds";
pub(super) const STORE_ERRORS: &str = "circa_receiver_store_errors_total";
pub(super) const LEASES_LOST: &str = "circa_receiver_leases_lost_total";
pub(super) const CHANGED_DUPLICATES: &str = "circa_receiver_changed_duplicates_total";
pub(super) const DEAD_LETTER_FAILURES: &str = "circa_receiver_dead_letter_failures_total";
pub(super) const OBSERVER_PANICS: &str = "circa_receiver_observer_panics_total";
pub(super) const INBOX_READY: &str = "circa_receiver_inbox_ready";
pub(super) const INBOX_WAITING: &str = "circa_receiver_inbox_waiting";
pub(super) const INBOX_RUNNING: &str = "circa_receiver_inbox_running";
pub(super) const INBOX_DEAD: &str = "circa_receiver_inbox_dead";
pub(super) const INBOX_OLDEST_AGE: &str = "circa_receiver_inbox_oldest_age_seconds";
pub(super) const INBOX_RETRIES: &str = "circa_receiver_inbox_retries_total";
pub(super) const INBOX_GIVEN_BACK: &str = "circa_receiver_inbox_given_back_total";
pub(super) const INBOX_WORKER_HEALTHY: &str = "circa_receiver_inbox_worker_healthy";
pub(super) const BUILD_INFO: &str = "circa_receiver_build_info";

/// Tells the recorder what each metric means.
pub(super) fn describe() {
    describe_counter!(
        DELIVERIES,
        Unit::Count,
        "Answered deliveries, by outcome, and by reason where they were refused"
    );
    describe_histogram!(ANSWER_DURATION, Unit::Seconds, "From the arrival of a head to its answer");
    describe_gauge!(
        CONSECUTIVE_FAILURES,
        Unit::Count,
        "Answers other than 2xx since the last 2xx; Circa disables an endpoint after 20"
    );
    describe_gauge!(IN_PROGRESS, Unit::Count, "Deliveries at a stage at which they stay for a while");
    describe_histogram!(SKEW, Unit::Seconds, "How far the signed time of authentic deliveries is from the clock");
    describe_gauge!(SECRET_LAST_MATCH, Unit::Seconds, "When a secret last matched, in unix seconds; 0 for not yet");
    describe_histogram!(
        HANDLER_DURATION,
        Unit::Seconds,
        "How long handlers ran that succeeded or failed, by event type"
    );
    describe_histogram!(EVENT_AGE, Unit::Seconds, "From when an event happened until it was handled");
    describe_histogram!(STORE_CALL_DURATION, Unit::Seconds, "How long calls of the dedup store or the inbox took");
    describe_counter!(
        STORE_ERRORS,
        Unit::Count,
        "Failures of the dedup store or the inbox; a claim's and an accept's are counted once a delivery, `lease` once an outage of a worker's inbox"
    );
    describe_counter!(LEASES_LOST, Unit::Count, "Runs whose claim passed to another holder meanwhile");
    describe_counter!(
        CHANGED_DUPLICATES,
        Unit::Count,
        "Duplicates whose body is not that of the event that was handled"
    );
    describe_counter!(DEAD_LETTER_FAILURES, Unit::Count, "Failures of the dead-letter sink");
    describe_counter!(OBSERVER_PANICS, Unit::Count, "Panics of observers, which were caught");
    describe_gauge!(BUILD_INFO, "1, labelled with the version");
    describe_inbox();
}

fn describe_inbox() {
    describe_gauge!(INBOX_READY, Unit::Count, "Events in the inbox that are ready to run");
    describe_gauge!(INBOX_WAITING, Unit::Count, "Events in the inbox that failed and wait to run again");
    describe_gauge!(INBOX_RUNNING, Unit::Count, "Events in the inbox that workers run");
    describe_gauge!(INBOX_DEAD, Unit::Count, "Dead letters in the inbox");
    describe_gauge!(
        INBOX_OLDEST_AGE,
        Unit::Seconds,
        "How long the event that has been ready for longest has been so; 0 where none is"
    );
    describe_counter!(INBOX_RETRIES, Unit::Count, "Runs that did not succeed and are repeated later");
    describe_counter!(INBOX_GIVEN_BACK, Unit::Count, "Events that a worker gave back because it stopped");
    describe_gauge!(INBOX_WORKER_HEALTHY, Unit::Count, "1 while the inbox answers the worker of this process, else 0");
}
