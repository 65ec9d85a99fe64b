//! Settings: what makes no sense is refused when the worker is built.

use circa_receiver::{
    AnyEvent, PortableHandler, RouteError, Routes, Sender, Worker, WorkerBuilder, WorkerError, event::DocumentSigned,
    inbox::RunPolicy, testing::MemoryInbox,
};

use crate::support::receiving::{circa, seconds};

fn routes() -> Routes<PortableHandler<()>> {
    Routes::new().fallback(|_: AnyEvent, (): ()| async { Ok(()) })
}

fn one() -> WorkerBuilder {
    Worker::builder(MemoryInbox::default()).endpoint("circa", Sender::CIRCA, routes(), ())
}

#[tokio::test]
async fn nonsense_is_refused_with_what_to_do() {
    let documents = Routes::new().on(|_: circa_receiver::Event<DocumentSigned>, (): ()| async { Ok(()) });
    let rows: [(&str, WorkerBuilder, Option<WorkerError>); 9] = [
        ("the defaults", one(), None),
        ("two endpoints", one().endpoint("circularo", Sender::CIRCULARO, routes(), ()), None),
        ("no endpoint", Worker::builder(MemoryInbox::default()), Some(WorkerError::NoEndpoint)),
        (
            "an endpoint twice",
            one().endpoint("circa", Sender::CIRCA, routes(), ()),
            Some(WorkerError::EndpointTwice("circa".to_owned())),
        ),
        (
            "no handler",
            one().endpoint("empty", Sender::CIRCA, Routes::<PortableHandler<()>>::new(), ()),
            Some(WorkerError::Routes { endpoint: "empty".to_owned(), error: RouteError::Empty }),
        ),
        (
            "no handler at once",
            one().concurrency(0),
            Some(WorkerError::Zero("the number of handlers that run at once")),
        ),
        (
            "no handler of a type at once",
            one().policy_of("webhook.test", RunPolicy::new().concurrency(0)),
            Some(WorkerError::Zero("the number of handlers of a type that run at once")),
        ),
        ("a policy for what a fallback takes", one().policy_of("any.type", RunPolicy::new().concurrency(1)), None),
        ("a lease below three calls", one().lease(seconds(5)), Some(WorkerError::Lease)),
    ];
    for (name, builder, error) in rows {
        assert_eq!(builder.build().err(), error, "{name}");
    }
    let other = one().endpoint("other", Sender::CIRCA, documents, ()).build();
    assert!(matches!(other, Err(WorkerError::Routes { error: RouteError::OtherSender { .. }, .. })), "{other:?}");
    let tested = Routes::new().on_type("webhook.test", |_: AnyEvent, (): ()| async { Ok(()) });
    let builder = Worker::builder(MemoryInbox::default()).endpoint("circa", Sender::CIRCA, tested, ());
    let mistyped = builder.policy_of("webhook.tset", RunPolicy::new()).build();
    assert_eq!(mistyped.err(), Some(WorkerError::UnroutedPolicy("webhook.tset".to_owned())));
    let without_inbox = circa().build().unwrap().worker(routes(), ());
    assert_eq!(without_inbox.err(), Some(WorkerError::NoInbox));
}
