//! A relay in front of a server, which loses an answer when it is told to.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// As long is PostgreSQL's answer to the ping with which a pool takes a connection back.
const PONG: usize = 6;

/// Relays connections to a server on this machine, until the process ends.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    loses: Arc<AtomicBool>,
}

impl Relay {
    /// In front of the server on this port.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (port, loses) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let losing = Arc::clone(&loses);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (server, losing) = (TcpStream::connect(("127.0.0.1", server)), Arc::clone(&losing));
                thread::spawn(move || relay(&client.unwrap(), &server.unwrap(), &losing));
            }
        });
        Self { port, loses }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Breaks the connection on which the server answers next, before the answer.
    pub fn lose_the_next_answer(&self) {
        self.loses.store(true, Ordering::SeqCst);
    }

    /// Whether it has lost an answer since.
    pub fn has_lost_it(&self) -> bool {
        !self.loses.load(Ordering::SeqCst)
    }
}

fn relay(mut client: &TcpStream, mut server: &TcpStream, loses: &AtomicBool) {
    let end = || {
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut requests, mut to_server) = (client, server);
            let _ = io::copy(&mut requests, &mut to_server);
            end();
        });
        let mut answer = vec![0; 64 * 1_024];
        while let Ok(length @ 1..) = server.read(&mut answer) {
            let is_answer = length > PONG;
            if is_answer && loses.swap(false, Ordering::SeqCst) || client.write_all(&answer[..length]).is_err() {
                break;
            }
        }
        end();
    });
}
