//! Apache with mod_proxy_balancer: by requests, and a member to which no connection can be made is
//! left out for 60 s, unless all are (its defaults).

use super::proxy::{MARKER_STATUS, Program, Proxy, Site, command};

/// Where Debian keeps the modules.
const MODULES: &str = "/usr/lib/apache2/modules";

const APACHE: Program = Program {
    name: "apache2",
    install: "apt-get install apache2",
    configure,
    command: |site| {
        let mut apache = command("apache2");
        apache.arg("-f").arg(site.configuration()).arg("-DFOREGROUND");
        apache
    },
    reload: |_, master| master.signal("USR1"),
};

/// Starts Apache in front of receivers on these loopback ports.
///
/// # Panics
///
/// Where Apache is not installed.
pub fn start(upstreams: &[u16]) -> Proxy {
    Proxy::start(APACHE, upstreams)
}

fn configure(site: &Site) -> String {
    assert_eq!(MARKER_STATUS, 410, "it is `gone` below");
    let members = site.each_upstream(|port| format!("  BalancerMember http://127.0.0.1:{port}"));
    let modules = ["mpm_event", "authz_core", "alias", "proxy", "proxy_http", "slotmem_shm", "proxy_balancer"];
    let modules = modules.into_iter().chain(["lbmethod_byrequests"]);
    let modules: String =
        modules.map(|module| format!("LoadModule {module}_module {MODULES}/mod_{module}.so\n")).collect();
    let (folder, port, marker) = (site.folder.display(), site.port, &site.marker);
    format!(
        "{modules}ServerRoot {folder}
ServerName localhost
DefaultRuntimeDir {folder}
PidFile {folder}/pid
ErrorLog {folder}/error.log
# Of the worker processes, where the first one is root's.
User www-data
Group www-data
Listen 127.0.0.1:{port}
Redirect gone {marker}
ProxyPass {marker} !
<Proxy balancer://receivers>
{members}
</Proxy>
ProxyPass / balancer://receivers/
ProxyPassReverse / balancer://receivers/
"
    )
}
