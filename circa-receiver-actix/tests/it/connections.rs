//! The connections of a server: which are closed, and when.

use std::{
    convert::Infallible,
    future::Future,
    net::{SocketAddr, TcpListener},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use actix_web::{
    App, HttpResponse,
    body::{BodySize, MessageBody},
    rt::{
        self,
        time::{Sleep, sleep},
    },
    web::{self, Bytes},
};
use circa_receiver::{
    Receiver, Secret,
    testing::{CircaSigner, fixtures},
};
use circa_receiver_actix::{AnyEvent, Server, webhook};
use circa_receiver_test_support::connections::{self, IDLE, LONG};

const SECRET: &str = "whsec_test_0123456789abcdef";

async fn long() -> &'static str {
    sleep(LONG).await;
    "long"
}

/// A body that is late.
struct LongBody(Option<Pin<Box<Sleep>>>);

impl MessageBody for LongBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let Some(sleep) = &mut self.0 else { return Poll::Ready(None) };
        ready!(pin!(sleep).poll(cx));
        self.0 = None;
        Poll::Ready(Some(Ok(Bytes::from_static(b"long"))))
    }
}

async fn long_body() -> HttpResponse {
    HttpResponse::Ok().body(LongBody(Some(Box::pin(sleep(LONG)))))
}

async fn handle(_: AnyEvent) -> HttpResponse {
    sleep(IDLE).await;
    HttpResponse::Ok().finish()
}

/// Serves until the test's runtime ends.
async fn serve(set: impl FnOnce(Server) -> Server) -> SocketAddr {
    let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).build().unwrap();
    let server = set(Server::new([receiver.clone()]));
    let routes = server.clone();
    let app = move || {
        App::new()
            .route("/livez", routes.livez())
            .route("/run", web::get().to(long))
            .route("/body", web::get().to(long_body))
            .route("/webhooks/circa", webhook(receiver.clone()).fallback(handle).into_route())
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    rt::spawn(server.serve(listener, app));
    address
}

#[actix_web::test]
async fn connections_without_a_request_are_closed() {
    connections::those_without_a_request_are_closed(serve(|server| server.idle_timeout(IDLE)).await).await;
}

#[cfg(feature = "http2")]
#[actix_web::test]
async fn connections_without_a_request_are_closed_over_http2() {
    let address = serve(|server| server.idle_timeout(IDLE).dangerous_h2c()).await;
    connections::those_without_a_request_are_closed_over_http2(address).await;
}

#[actix_web::test]
async fn the_connection_without_an_answer_for_longest_gives_way() {
    connections::the_one_without_an_answer_for_longest_gives_way(serve(|server| server.max_connections(2)).await).await;
}

#[actix_web::test]
async fn a_sender_that_sends_no_more_is_answered() {
    let fixture = &fixtures()[0];
    let signature = CircaSigner::new(SECRET).sign_now(fixture.body().as_bytes());
    let address = serve(|server| server).await;
    connections::a_sender_that_sends_no_more_is_answered(address, &signature, fixture.body()).await;
}
