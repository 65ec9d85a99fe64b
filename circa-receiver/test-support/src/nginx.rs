//! nginx with an `upstream` of several servers: round-robin, and a server that fails is left out
//! for 10 s (`max_fails=1 fail_timeout=10s`, its defaults).

use super::proxy::{MARKER_STATUS, Program, Proxy, Site, command};

const NGINX: Program = Program {
    name: "nginx",
    install: "apt-get install nginx-light",
    configure,
    command: |site| {
        let mut nginx = command("nginx");
        // Where it logs until it has read its configuration; without it that is a folder of the
        // system.
        nginx.arg("-e").arg(site.folder.join("error.log"));
        nginx.arg("-p").arg(&site.folder).arg("-c").arg(site.configuration()).args(["-g", "daemon off;"]);
        nginx
    },
    reload: |_, master| master.signal("HUP"),
};

/// Starts nginx in front of receivers on these loopback ports.
///
/// # Panics
///
/// Where nginx is not installed.
pub fn start(upstreams: &[u16]) -> Proxy {
    Proxy::start(NGINX, upstreams)
}

fn configure(site: &Site) -> String {
    let servers = site.each_upstream(|port| format!("    server 127.0.0.1:{port};"));
    let (folder, port, marker) = (site.folder.display(), site.port, &site.marker);
    format!(
        "worker_processes 2;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream receivers {{
{servers}
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://receivers; }}
    location = {marker} {{ return {MARKER_STATUS}; }}
  }}
}}
"
    )
}
