//! A worker without HTTP, to start from: it runs what receivers have stored in the inbox of
//! `STORE_URL`. Start as many as the handlers need, beside receivers with `INBOX=accept`. Its
//! environment and its output are described in the library beside it.

use std::{process::ExitCode, sync::Arc};

use circa_receiver::{Inbox, Sender, TracingObserver, Worker, inbox::RunPolicy};
use circa_receiver_examples::{BoxError, log_to_stderr, open_inbox, say, stored_routes};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let _log = log_to_stderr();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("worker: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let worker = worker(open_inbox().await?)?;
    let running = tokio::spawn(worker.clone().run());
    say("running");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // What runs may end for 20 s; the rest is given back to the inbox.
    worker.shutdown().await;
    Ok(running.await?)
}

/// The names of the endpoints are those of the receivers.
fn worker(inbox: Arc<dyn Inbox>) -> Result<Worker, BoxError> {
    let worker = Worker::builder(inbox)
        .endpoint("circa", Sender::CIRCA, stored_routes(Sender::CIRCA), ())
        .endpoint("circularo", Sender::CIRCULARO, stored_routes(Sender::CIRCULARO), ())
        // As where a handler fetches the signed document, and its interface takes two calls at
        // once.
        .policy_of("documentCompleted", RunPolicy::new().concurrency(2))
        .observer(TracingObserver);
    Ok(worker.build()?)
}
