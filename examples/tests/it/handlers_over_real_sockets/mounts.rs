//! The four ways to put a receiver in front of the handler.

use std::{
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::mpsc,
    thread,
    time::Duration,
};

use actix_web::{
    HttpResponse, HttpServer,
    dev::{ServerHandle, Service},
    middleware::Compress,
    web,
};
use axum::{Router, extract::State, http::StatusCode, middleware, routing::post};
use bytes::Bytes;
use circa_receiver::{Receiver, ReceiverBuilder, Secret, event::DatapointPulled};

use super::gate::{Gate, Presence};
use crate::support::CIRCA_SECRET;

const PATH: &str = "/webhooks/circa";

/// A way to put a receiver in front of the gate.
pub(super) struct Mount {
    pub(super) name: &'static str,
    serve: fn(Receiver, Gate) -> Served,
}

pub(super) const MOUNTS: [Mount; 4] = [
    Mount { name: "axum route", serve: axum_route },
    Mount { name: "axum layer", serve: axum_layer },
    Mount { name: "actix-web route", serve: actix_route },
    Mount { name: "actix-web layer", serve: actix_layer },
];

impl Mount {
    pub(super) fn serve(&self, gate: &Gate, ack_deadline: Duration) -> (SocketAddr, Receiver, Served) {
        self.serve_with(gate, circa_receiver().ack_deadline(ack_deadline))
    }

    pub(super) fn serve_with(&self, gate: &Gate, builder: ReceiverBuilder) -> (SocketAddr, Receiver, Served) {
        let receiver = builder.observer(gate.clone()).build().unwrap();
        let served = (self.serve)(receiver.clone(), gate.clone());
        (served.address, receiver, served)
    }
}

pub(super) fn circa_receiver() -> ReceiverBuilder {
    Receiver::circa(Secret::new(CIRCA_SECRET).unwrap())
}

/// A server on a free port, until it is dropped or the test's runtime ends.
pub(super) struct Served {
    address: SocketAddr,
    actix: Option<ServerHandle>,
}

impl Drop for Served {
    fn drop(&mut self) {
        // Sent at once; the future is only to wait for it.
        drop(self.actix.take().map(|handle| handle.stop(false)));
    }
}

fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn axum_route(receiver: Receiver, gate: Gate) -> Served {
    let route = circa_receiver_axum::webhook(receiver).on(axum_handler).with_state(gate.clone());
    serve_axum(Router::new().route(PATH, route), gate)
}

fn axum_layer(receiver: Receiver, gate: Gate) -> Served {
    let layer = circa_receiver_axum::ReceiverLayer::new(receiver);
    serve_axum(Router::new().route(PATH, post(axum_handler)).layer(layer).with_state(gate.clone()), gate)
}

async fn axum_handler(
    State(gate): State<Gate>,
    circa_receiver_axum::Event(event): circa_receiver_axum::Event<DatapointPulled>,
    body: Bytes,
) -> StatusCode {
    assert_eq!(&body, event.body());
    StatusCode::from_u16(gate.pass().await).unwrap()
}

fn serve_axum(app: Router, gate: Gate) -> Served {
    let app = app.layer(middleware::from_fn(move |request, next: middleware::Next| {
        let presence = Presence(gate.clone());
        async move {
            let _presence = presence;
            next.run(request).await
        }
    }));
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Served { address, actix: None }
}

fn actix_route(receiver: Receiver, gate: Gate) -> Served {
    let route = move || circa_receiver_actix::webhook(receiver.clone()).on(actix_handler).into_route();
    serve_actix(move |app| _ = app.route(PATH, route()), gate)
}

fn actix_layer(receiver: Receiver, gate: Gate) -> Served {
    let layer = circa_receiver_actix::ReceiverLayer::new(receiver);
    let resource = move || web::resource(PATH).wrap(layer.clone()).route(web::post().to(actix_handler));
    serve_actix(move |app| _ = app.service(resource()), gate)
}

async fn actix_handler(
    gate: web::Data<Gate>,
    circa_receiver_actix::Event(event): circa_receiver_actix::Event<DatapointPulled>,
    body: Bytes,
) -> HttpResponse {
    // Held across the wait: actix-web's handlers need not be `Send`.
    let body = Rc::new(body);
    let status = gate.pass().await;
    assert_eq!(&*body, event.body());
    HttpResponse::build(status.try_into().unwrap()).finish()
}

fn serve_actix(mount: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static, gate: Gate) -> Served {
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    let app = move || {
        let watched = gate.clone();
        actix_web::App::new()
            .app_data(web::Data::new(gate.clone()))
            .configure(mount.clone())
            .wrap(Compress::default())
            .wrap_fn(move |request, service| {
                let (presence, answer) = (Presence(watched.clone()), service.call(request));
                async move {
                    let _presence = presence;
                    answer.await
                }
            })
    };
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(app).workers(2).disable_signals().listen(listener).unwrap().run();
            tell.send(server.handle()).unwrap();
            server.await
        })
    });
    Served { address, actix: Some(told.recv().unwrap()) }
}
