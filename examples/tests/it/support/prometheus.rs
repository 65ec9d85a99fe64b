//! Prometheus with the configuration of `examples/monitoring`, in front of receivers.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use circa_receiver_test_support::free_port;
use serde_json::Value;

use super::Request;

pub(crate) const INSTALL: &str = "apt-get install prometheus";

/// How long Prometheus may take to scrape twice and to evaluate; a loaded machine is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// `examples/monitoring`.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring"))
}

pub(crate) fn file(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// The values of all lines `key: value` of a file in YAML.
pub(crate) fn values(text: &str, key: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches("- "));
    lines.filter_map(|line| line.strip_prefix(&format!("{key}: ")).map(str::to_owned)).collect()
}

/// A Prometheus with the example's configuration, which asks more often. Gone when dropped.
pub(crate) struct Prometheus {
    child: Child,
    address: SocketAddr,
    data: PathBuf,
}

impl Prometheus {
    /// Scrapes what these addresses serve, once a second. An alert waits 1 s where the example's
    /// waits minutes.
    pub(crate) fn start(receivers: &[SocketAddr]) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let data = std::env::temp_dir().join(format!("circa-receiver-prometheus-{}", address.port()));
        fs::create_dir_all(&data).unwrap();
        let example = file("prometheus.yml");
        let targets = receivers.iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>().join(", ");
        let configuration = example.replace("15s", "1s").replace("\"receiver:9464\"", &targets);
        assert_ne!(configuration, example);
        fs::write(data.join("prometheus.yml"), configuration).unwrap();
        let alerts = ["1m", "2m", "5m"]
            .iter()
            .fold(file("alerts.yml"), |alerts, minutes| alerts.replace(&format!("for: {minutes}"), "for: 1s"));
        fs::write(data.join("alerts.yml"), alerts).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", data.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", data.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("prometheus: {error}: {INSTALL}"));
        Self { child, address, data }
    }

    /// The answer of its API; `None` where it does not answer yet.
    async fn ask(&self, path: &str) -> Option<Value> {
        let answer = Request::post(path).method("GET").attempt(self.address).await?;
        serde_json::from_str(&answer.body).ok()
    }

    /// Which of these queries find no series.
    pub(crate) async fn missing(&self, queries: &[String]) -> Vec<String> {
        let mut missing = Vec::new();
        for query in queries {
            let escaped: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let answer = self.ask(&format!("/api/v1/query?query={escaped}")).await;
            if answer.is_none_or(|answer| answer["data"]["result"].as_array().is_none_or(Vec::is_empty)) {
                missing.push(query.clone());
            }
        }
        missing
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.data);
    }
}
