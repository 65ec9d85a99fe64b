//! The smallest receiver on axum: the code of README.md.

use axum::{Router, extract::State};
use circa_receiver_axum::{
    Event, Receiver, Secret,
    event::{DatapointPulled, WebhookTest},
    serve, webhook,
};

#[derive(Clone)]
struct Db; // yours

async fn pulled(State(_db): State<Db>, Event(event): Event<DatapointPulled>) {
    println!("{}: {:?} pulled data", event.id(), event.data().user_id());
}

async fn tested(Event(event): Event<WebhookTest>) {
    println!("{}: {}", event.id(), event.data().message());
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let receiver = Receiver::circa(Secret::from_env("CIRCA_WEBHOOK_SECRET")?).build()?;
    let app = Router::new().route("/webhooks/circa", webhook(receiver.clone()).on(pulled).on(tested).with_state(Db));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(serve(listener, app, [receiver]).await?)
}
