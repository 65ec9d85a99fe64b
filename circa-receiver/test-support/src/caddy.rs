//! Caddy with `reverse_proxy` to several upstreams: at random, and one that fails is left out for
//! 30 s.
//!
//! The delivery that meets the failure is answered 502. `lb_try_duration` would try it at another
//! upstream; but the Caddy of Debian 12, 2.6.2, has closed the request's body by then, fails there
//! too, and leaves out both for 30 s.

use super::{
    proxy::{MARKER_STATUS, Program, Proxy, Site, command},
    run,
};

const INSTALL: &str = "apt-get install caddy";

const CADDY: Program = Program {
    name: "caddy",
    install: INSTALL,
    configure,
    command: |site| {
        let mut caddy = command("caddy");
        caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(site.configuration());
        caddy.env("HOME", &site.folder).env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
        caddy
    },
    reload: |site, _| {
        let mut caddy = command("caddy");
        caddy.args(["reload", "--adapter", "caddyfile", "--address", &administration(site), "--config"]);
        run(caddy.arg(site.configuration()).env("HOME", &site.folder), INSTALL);
    },
};

/// Starts Caddy in front of receivers on these loopback ports.
///
/// # Panics
///
/// Where Caddy is not installed.
pub fn start(upstreams: &[u16]) -> Proxy {
    Proxy::start(CADDY, upstreams)
}

/// A socket in the folder: the default port may be another Caddy's.
fn administration(site: &Site) -> String {
    format!("unix/{}/admin", site.folder.display())
}

fn configure(site: &Site) -> String {
    let upstreams = site.each_upstream(|port| format!("    to 127.0.0.1:{port}"));
    let (administration, port, marker) = (administration(site), site.port, &site.marker);
    format!(
        "{{
  admin {administration}
}}
http://:{port} {{
  bind 127.0.0.1
  respond {marker} {MARKER_STATUS}
  reverse_proxy {{
{upstreams}
    fail_duration 30s
  }}
}}
"
    )
}
