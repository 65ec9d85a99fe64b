//! HAProxy with a `backend` of several servers: round-robin, three retries, the last one at another
//! server, and a check whether the port is open.

use super::proxy::{MARKER_STATUS, Program, Proxy, Site, command};

const HAPROXY: Program = Program {
    name: "haproxy",
    install: "apt-get install haproxy",
    configure,
    command: |site| {
        let mut haproxy = command("haproxy");
        // A master process, which can reload, in the foreground.
        haproxy.args(["-W", "-db", "-f"]).arg(site.configuration());
        haproxy
    },
    reload: |_, master| master.signal("USR2"),
};

/// Starts HAProxy in front of receivers on these loopback ports.
///
/// # Panics
///
/// Where HAProxy is not installed.
pub fn start(upstreams: &[u16]) -> Proxy {
    Proxy::start(HAPROXY, upstreams)
}

fn configure(site: &Site) -> String {
    let servers = site.each_upstream(|port| format!("  server receiver-{port} 127.0.0.1:{port} check"));
    let (port, marker) = (site.port, &site.marker);
    format!(
        "global
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
  retries 3
  option redispatch
frontend webhooks
  bind 127.0.0.1:{port}
  http-request return status {MARKER_STATUS} if {{ path {marker} }}
  default_backend receivers
backend receivers
  balance roundrobin
{servers}
"
    )
}
