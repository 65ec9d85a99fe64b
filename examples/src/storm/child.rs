//! The processes of a storm, as the program that they are: a receiver on either framework, or a
//! worker of the inbox. Told by the environment, as the reference receivers are.

use std::{env, time::Duration};

use actix_web::App;
use axum::Router;
use circa_receiver::{Receiver, ReceiverBuilder, Secret, Sender, TracingObserver, Worker};
use circa_receiver_actix as actix;
use circa_receiver_axum as on_axum;
use tokio::signal::unix::{SignalKind, signal};

use super::effects::Effects;
use super::handler::{Booking, Work, booking_routes, routes};
use super::settings::{
    ACK_DEADLINE, BACKOFF, CIRCA_SECRET, CIRCULARO_SECRET, CONCURRENCY, DRAIN_DEADLINE, LEASE, STORE_TIMEOUT,
};
use crate::{
    BoxError, bind_address, listen, path,
    store::{self, Kept},
};

/// What a process of a storm is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    OnAxum,
    OnActix,
    Worker,
}

impl Role {
    /// The argument that makes the program one.
    pub(super) fn argument(self) -> &'static str {
        match self {
            Self::OnAxum => "axum-receiver",
            Self::OnActix => "actix-receiver",
            Self::Worker => "worker",
        }
    }

    pub(super) fn of(argument: &str) -> Option<Self> {
        [Self::OnAxum, Self::OnActix, Self::Worker].into_iter().find(|role| role.argument() == argument)
    }

    /// Runs until SIGTERM.
    pub(super) fn run(self) -> Result<(), BoxError> {
        match self {
            Self::OnAxum => runtime()?.block_on(serve_on_axum()),
            Self::OnActix => actix_web::rt::System::new().block_on(serve_on_actix()),
            Self::Worker => runtime()?.block_on(work()),
        }
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// A receiver for each sender, on one store or inbox.
async fn receivers() -> Result<Vec<Receiver>, BoxError> {
    let kept = store::from_env().await?;
    let build = |builder: ReceiverBuilder| {
        let builder = builder.ack_deadline(ACK_DEADLINE).lease(LEASE).store_timeout(STORE_TIMEOUT);
        kept.give_to(builder).drain_deadline(DRAIN_DEADLINE).observer(TracingObserver).build()
    };
    let circa = build(Receiver::circa(Secret::new(CIRCA_SECRET)?))?;
    let circularo = build(Receiver::circularo(Secret::new(CIRCULARO_SECRET)?))?;
    Ok(vec![circa, circularo])
}

async fn serve_on_axum() -> Result<(), BoxError> {
    let (receivers, work) = (receivers().await?, Work::from_env()?);
    let app = receivers.iter().fold(Router::new(), |app, receiver| {
        let webhook = on_axum::Webhook::portable(receiver.clone(), routes());
        app.route(&path(receiver), webhook.with_state(work.clone()))
    });
    let server = on_axum::Server::new(receivers).grace(Duration::ZERO);
    Ok(server.serve(listen(&bind_address()).await?, app).await?)
}

async fn serve_on_actix() -> Result<(), BoxError> {
    let (receivers, work) = (receivers().await?, Work::from_env()?);
    let server = actix::Server::new(receivers.clone()).grace(Duration::ZERO);
    let app = move || {
        receivers.iter().fold(App::new(), |app, receiver| {
            let webhook = actix::Webhook::portable(receiver.clone(), routes(), work.clone());
            app.route(&path(receiver), webhook.into_route())
        })
    };
    Ok(server.serve(listen(&bind_address()).await?.into_std()?, app).await?)
}

async fn work() -> Result<(), BoxError> {
    let Kept::Inbox(inbox) = store::from_env().await? else { return Err("a worker needs INBOX".into()) };
    let booking = Booking::new(Work::from_env()?, Effects::open(&env::var("STORE_URL")?)?);
    let worker = [("circa", Sender::CIRCA), ("circularo", Sender::CIRCULARO)]
        .into_iter()
        .fold(Worker::builder(inbox), |worker, (name, sender)| {
            worker.endpoint(name, sender, booking_routes(), booking.clone())
        })
        .concurrency(CONCURRENCY)
        .lease(LEASE)
        .backoff(BACKOFF.0, BACKOFF.1)
        .call_timeout(STORE_TIMEOUT)
        .drain_deadline(DRAIN_DEADLINE)
        .observer(TracingObserver)
        .build()?;
    let mut terminated = signal(SignalKind::terminate())?;
    let running = tokio::spawn(worker.clone().run());
    terminated.recv().await;
    worker.shutdown().await;
    Ok(running.await?)
}
