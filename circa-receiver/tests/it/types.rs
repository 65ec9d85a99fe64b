//! The public types can be shared between threads and printed: what their users take for granted.

use std::fmt::Debug;

use circa_receiver::{
    AnyEvent, Completion, CompletionError, ConfigError, DecodeError, Delivery, Diagnosis, Event, HandlerError,
    MemoryStore, Outcome, PortableHandler, Receiver, ReceiverBuilder, Rejection, Response, Routes, Secret, SecretId,
    Secrets, Sender, SystemClock, Verified, Verifier,
    adapter::ExtractError,
    dedup::{Key, StoreError},
    event::{DatapointPulled, DocumentSigned, WebhookTest},
    observe::{Mismatch, Stage},
};

fn is_shared<T: Debug + Send + Sync + 'static>() {}

#[test]
fn public_types_are_send_sync_and_debug() {
    is_shared::<(AnyEvent, Event<DatapointPulled>, Event<DocumentSigned>, Event<WebhookTest>, Delivery)>();
    is_shared::<(ReceiverBuilder, Receiver, Verifier, Verified<'static, Vec<u8>>, MemoryStore, SystemClock, Sender)>();
    is_shared::<(Completion, CompletionError)>();
    is_shared::<(Secret, Secrets, SecretId, Key)>();
    is_shared::<(Routes<PortableHandler<()>>, PortableHandler<()>, Outcome, Response, Rejection)>();
    is_shared::<(Diagnosis, Mismatch<'static>, Stage, circa_receiver::StoreOperation)>();
    #[cfg(feature = "metrics")]
    is_shared::<circa_receiver::MetricsObserver>();
    is_shared::<(circa_receiver::inbox::Entry, circa_receiver::testing::MemoryInbox)>();
    is_shared::<(ConfigError, DecodeError, ExtractError, HandlerError, StoreError)>();
}
