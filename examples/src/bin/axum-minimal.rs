//! The smallest receiver: two typed handlers for Circa's two events.

use axum::Router;
use circa_receiver_axum::{
    Event, Receiver, Secret,
    event::{DatapointPulled, WebhookTest},
    webhook,
};

async fn pulled(Event(event): Event<DatapointPulled>) {
    println!("{}: data pulled by {}", event.id(), event.data().user_id().unwrap_or("an unknown user"));
}

async fn tested(Event(event): Event<WebhookTest>) {
    println!("{}: {}", event.id(), event.data().message());
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let receiver = Receiver::circa(Secret::from_env("CIRCA_WEBHOOK_SECRET")?).build()?;
    let app = Router::new().route("/webhooks/circa", webhook(receiver).on(pulled).on(tested).into_route());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app).await?)
}
