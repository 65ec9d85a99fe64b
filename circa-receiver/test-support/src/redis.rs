//! Redis for tests: one server, or a cluster of three.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use super::{Folder, Process, free_port, run, wait_until};

const INSTALL: &str = "apt-get install redis-server";

/// One server. Nothing is kept over [`RedisServer::kill`] unless it is
/// [durable](RedisServer::start_durable).
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    // Removed after the process has ended: fields are dropped in this order.
    folder: Folder,
    port: u16,
    arguments: Vec<String>,
}

impl RedisServer {
    /// A server that keeps its data in memory alone.
    pub fn start() -> Self {
        Self::start_with(&["--save", ""])
    }

    /// A server that has every write on the disk before it answers.
    pub fn start_durable() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
    }

    /// A server with these arguments, ready.
    pub fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        for _ in 0..5 {
            let (folder, port) = (Folder::new("redis"), free_port());
            let process = launch(&folder, port, &arguments);
            let mut server = Self { process, folder, port, arguments: arguments.clone() };
            if server.becomes_ready() {
                return server;
            }
        }
        panic!("redis-server ended five times before it was ready");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts again after [`RedisServer::kill`], or kills before: same port, same folder.
    pub fn restart(&mut self) {
        self.process.kill();
        wait_until("redis-server starts again", || {
            self.process = launch(&self.folder, self.port, &self.arguments);
            self.becomes_ready()
        });
    }

    pub fn freeze(&self) {
        self.process.freeze();
    }

    pub fn thaw(&self) {
        self.process.thaw();
    }

    /// What `redis-cli` answers.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        run(Command::new("redis-cli").args(["-h", "127.0.0.1", "-p", &port]).args(arguments), INSTALL)
    }

    /// `false` if the process ended instead, as when another process has the port.
    fn becomes_ready(&mut self) -> bool {
        let mut alive = true;
        wait_until("redis-server answers PING", || {
            alive = self.process.is_alive();
            !alive || answers(self.port)
        });
        alive
    }
}

fn launch(folder: &Folder, port: u16, arguments: &[String]) -> Process {
    let port = port.to_string();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port, "--dir"]).arg(folder.path()).args(arguments);
    Process::start(&mut command, &folder.path().join("log"), INSTALL)
}

/// Also with a password, when the answer is `-NOAUTH`; not while it loads its data, when the answer
/// is `-LOADING`.
fn answers(port: u16) -> bool {
    let ping = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = vec![0; 7];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    ping().is_ok_and(|answer| answer == b"+PONG\r\n" || answer == b"-NOAUTH")
}

/// Three masters without replicas, each with a third of the keys.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// A cluster that keeps its data in memory alone, ready.
    pub fn start() -> Self {
        Self::start_with(&["--save", ""])
    }

    /// A cluster that has every write on the disk before it answers.
    pub fn start_durable() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let nodes: Vec<RedisServer> = (0..3).map(|_| node(arguments)).collect();
        let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(&addresses).args(["--cluster-replicas", "0", "--cluster-yes"]);
        run(&mut create, INSTALL);
        let cluster = Self { nodes };
        cluster.wait_until_ok();
        cluster
    }

    pub fn nodes(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// `kill -9` of all nodes.
    pub fn kill(&mut self) {
        self.nodes.iter_mut().for_each(RedisServer::kill);
    }

    pub fn restart(&mut self) {
        self.nodes.iter_mut().for_each(RedisServer::restart);
        self.wait_until_ok();
    }

    pub fn freeze(&self) {
        self.nodes.iter().for_each(RedisServer::freeze);
    }

    /// Ends [`RedisCluster::freeze`], and waits until the nodes have found each other again.
    pub fn thaw(&self) {
        self.nodes.iter().for_each(RedisServer::thaw);
        self.wait_until_ok();
    }

    fn wait_until_ok(&self) {
        wait_until("the cluster's state is ok", || {
            self.nodes.iter().all(|node| node.cli(&["cluster", "info"]).contains("cluster_state:ok"))
        });
    }
}

fn node(arguments: &[&str]) -> RedisServer {
    // The default bus port is the port + 10,000, which may lie above 65,535.
    let bus = free_port().to_string();
    let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "2000"];
    RedisServer::start_with(&[arguments, &cluster[..]].concat())
}
