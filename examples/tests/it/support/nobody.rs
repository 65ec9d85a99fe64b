//! An address at which nobody listens: connections to it are refused.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// Held, so that nobody else gets its port, and begins to listen.
pub(crate) struct Nobody(TcpSocket);

impl Nobody {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        Self(socket)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}
