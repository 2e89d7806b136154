//! `GET /metrics`: numbers for Prometheus, for whoever has the token, or for this machine only.

use std::{net::IpAddr, time::Duration};

use poem::{Endpoint, IntoResponse, Request, Response, http::header, web::RemoteAddr};
use secrecy::ExposeSecret;

use super::error::Problem;
use crate::{
    app::Handle,
    graph::GraphHealth,
    telemetry::metrics::{CONTENT_TYPE, metrics},
};

/// A scrape waits no longer than this for what is in the database; then it gets what the process knows.
const PATIENCE: Duration = Duration::from_secs(2);

/// The endpoint.
pub(super) struct Scrape;

impl Endpoint for Scrape {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let app = request.data::<Handle>().cloned().ok_or_else(|| Problem::internal("no app"))?;
        admit(&app, &request)?;
        look(&app).await;
        let answer = Response::builder().content_type(CONTENT_TYPE).header(header::CACHE_CONTROL, "no-store");
        Ok(answer.body(metrics().render()).into_response())
    }
}

fn admit(app: &Handle, request: &Request) -> Result<(), Problem> {
    match &app.config.metrics_token {
        Some(token) => {
            let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            let given = given
                .and_then(|value| value.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            match given {
                Some((_, given)) if same(given.trim().as_bytes(), token.expose_secret().as_bytes()) => Ok(()),
                _ => Err(Problem::unauthorized()),
            }
        }
        None if app.config.production && !is_local(request) => {
            Err(Problem::forbidden("Set METRICS_TOKEN to read metrics from another machine"))
        }
        None => Ok(()),
    }
}

/// Whether somebody on this machine asks, and not for somebody else.
fn is_local(request: &Request) -> bool {
    let RemoteAddr(address) = request.remote_addr();
    let loopback = address.as_socket_addr().is_some_and(|address| match address.ip() {
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or(ip.is_loopback(), |ip| ip.is_loopback()),
        IpAddr::V4(ip) => ip.is_loopback(),
    });
    loopback && !["x-forwarded-for", "forwarded"].iter().any(|name| request.headers().contains_key(*name))
}

/// Without telling by the time it takes how much of it was right.
fn same(given: &[u8], expected: &[u8]) -> bool {
    use sha2::{Digest, Sha256};
    Sha256::digest(given) == Sha256::digest(expected)
}

/// Puts in what only the database and the graph know.
async fn look(app: &Handle) {
    let metrics = metrics();
    metrics.uptime_seconds.set(i64::try_from(app.started.elapsed().as_secs()).unwrap_or(i64::MAX));
    match tokio::time::timeout(PATIENCE, app.store.queue_depth()).await {
        Ok(Ok(depth)) => {
            for (state, count) in [("queued", depth.queued), ("running", depth.running), ("dead", depth.dead)] {
                metrics.queue.with_label_values(&[state]).set(count);
            }
            metrics.queue_oldest_seconds.set(depth.oldest_seconds);
        }
        // A number from before the database went would say that all is well.
        _ => metrics.queue.reset(),
    }
    if let Some(graph) = &app.graph {
        let health = tokio::time::timeout(PATIENCE, graph.health()).await;
        let up = matches!(health, Ok(GraphHealth::Ok));
        metrics.graph_up.with_label_values(&[graph.backend()]).set(i64::from(up));
    }
}
