//! The metrics of both receivers for Prometheus, on a listener of their own: who may send
//! deliveries need not see them.

use std::{net::SocketAddr, sync::Arc};

use circa_receiver::MetricsObserver;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use crate::{BoxError, environment::variable};

/// Of answers, handlers and calls of the store, in seconds: up to the ack deadline and the limit of
/// a run.
const DURATIONS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 900.0];

/// Of ages and skews, in seconds: the sender's pauses between retries, and the tolerance.
const AGES: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 720.0, 4_320.0, 25_920.0, 112_350.0, 259_200.0];

/// Serves `/metrics` where `METRICS_BIND` says so; what measures is `None` where it does not.
pub(crate) fn from_env() -> Result<Option<Arc<MetricsObserver>>, BoxError> {
    let Some(bind) = variable("METRICS_BIND") else { return Ok(None) };
    let refused = "METRICS_BIND was refused: it is an address and a port, such as 127.0.0.1:9464";
    let address: SocketAddr = bind.to_str().and_then(|bind| bind.parse().ok()).ok_or(refused)?;
    let builder = PrometheusBuilder::new()
        .with_http_listener(address)
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), &DURATIONS)?
        .set_buckets_for_metric(Matcher::Suffix("_age_seconds".to_owned()), &AGES)?
        .set_buckets_for_metric(Matcher::Suffix("_skew_seconds".to_owned()), &AGES)?;
    builder.install().map_err(|error| format!("cannot serve metrics at {address}: {error}"))?;
    Ok(Some(Arc::new(MetricsObserver::new())))
}
