//! Whether this process lives, may be sent work, and how much of it waits.

use std::{sync::atomic::Ordering, time::Duration};

use poem::{http::StatusCode, web::Data};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, payload::Json, types::Example};

use super::{
    Tag,
    error::{Problem, fails},
};
use crate::{
    app::{App, Handle},
    config::GraphConfig,
    graph::GraphHealth as Asked,
    store::upkeep::QueueDepth,
};

/// How long the database, and the code graph, may take to answer before they count as down.
const PATIENCE: Duration = Duration::from_secs(2);

/// How nectr is doing.
#[derive(Debug, Object)]
#[oai(example)]
struct Health {
    /// `ok`, or `unavailable` when the database is down.
    status: HealthStatus,
    /// Of nectr.
    version: String,
    /// Since this process started.
    uptime_seconds: i64,
    /// `ok` or `down`.
    database: DatabaseStatus,
    /// The code graph.
    graph: GraphHealth,
    /// What waits, deliveries and tasks; null when the database is down.
    queue: Option<Queue>,
    /// What is wrong, when something is.
    #[oai(skip_serializing_if_is_none)]
    detail: Option<String>,
}

/// Whether nectr can work.
#[derive(Debug, Enum)]
#[oai(rename_all = "snake_case")]
enum HealthStatus {
    Ok,
    Unavailable,
}

/// Whether the database answers.
#[derive(Debug, Enum)]
#[oai(rename_all = "snake_case")]
enum DatabaseStatus {
    Ok,
    Down,
}

/// The code graph. nectr works without it, so it never makes this answer a 503.
#[derive(Debug, Object)]
struct GraphHealth {
    /// Where it is kept.
    backend: GraphBackend,
    /// How it is doing. `failed`: it answers, but its schema could not be made; the log says why.
    status: GraphStatus,
}

/// Where the code graph is kept.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum GraphBackend {
    Neo4j,
    Database,
    Off,
}

/// How the code graph is doing.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum GraphStatus {
    Ok,
    Unreachable,
    Failed,
    Off,
}

/// What waits.
#[derive(Debug, Object)]
struct Queue {
    /// Waiting, those that failed and will be tried again included.
    queued: i64,
    /// With a worker.
    running: i64,
    /// Given up.
    dead: i64,
    /// Age of the oldest that waits.
    oldest_seconds: i64,
}

/// A probe's answer.
#[derive(Debug, Object)]
#[oai(example)]
struct Probe {
    /// Always `ok`.
    status: String,
}

/// Answers of `/health`.
#[derive(ApiResponse)]
enum Examined {
    /// All is well.
    #[oai(status = 200)]
    Well(Json<Health>),
    /// The database is down.
    #[oai(status = 503)]
    Ill(Json<Health>),
}

fails! {
    /// Whether work may be sent here.
    ReadyFails { 503 "Shutting down" | "The database does not answer"; }
}

/// Health.
pub(super) struct HealthApi;

#[OpenApi(prefix_path = "/health", tag = "Tag::Health")]
impl HealthApi {
    /// See how nectr is doing.
    #[oai(path = "/", method = "get", operation_id = "get_health")]
    async fn health(&self, Data(app): Data<&Handle>) -> Examined {
        let (depth, graph) = tokio::join!(depth(app), graph(app));
        let well = depth.is_some();
        let health = Health {
            status: if well { HealthStatus::Ok } else { HealthStatus::Unavailable },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: i64::try_from(app.started.elapsed().as_secs()).unwrap_or(i64::MAX),
            database: if well { DatabaseStatus::Ok } else { DatabaseStatus::Down },
            graph,
            queue: depth.map(Queue::from),
            detail: (!well).then(|| "The database does not answer".to_owned()),
        };
        if well { Examined::Well(Json(health)) } else { Examined::Ill(Json(health)) }
    }

    /// Is the process alive?
    #[oai(path = "/live", method = "get", operation_id = "is_live")]
    async fn live(&self) -> Json<Probe> {
        Json(Probe::example())
    }

    /// May work be sent here?
    #[oai(path = "/ready", method = "get", operation_id = "is_ready")]
    async fn ready(&self, Data(app): Data<&Handle>) -> Result<Json<Probe>, ReadyFails> {
        if app.draining.load(Ordering::SeqCst) {
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Shutting down").into());
        }
        match tokio::time::timeout(PATIENCE, app.store.ping()).await {
            Ok(Ok(())) => Ok(Json(Probe::example())),
            _ => Err(Problem::unavailable("The database does not answer").into()),
        }
    }
}

/// How much waits, unless the database is down or too slow to say.
async fn depth(app: &App) -> Option<QueueDepth> {
    let asked = async {
        app.store.ping().await?;
        app.store.queue_depth().await
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(depth)) => Some(depth),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database is down");
            None
        }
        Err(_) => {
            tracing::warn!("the database does not answer in time");
            None
        }
    }
}

/// How the code graph is, as far as it says so in time.
async fn graph(app: &App) -> GraphHealth {
    let Some(graph) = &app.graph else {
        return GraphHealth { backend: GraphBackend::Off, status: GraphStatus::Off };
    };
    let status = match tokio::time::timeout(PATIENCE, graph.health()).await {
        Ok(Asked::Ok) => GraphStatus::Ok,
        Ok(Asked::Unreachable) | Err(_) => GraphStatus::Unreachable,
        Ok(Asked::Failed(error)) => {
            tracing::warn!(error, "the code graph has no schema");
            GraphStatus::Failed
        }
    };
    let backend = match app.config.graph {
        GraphConfig::Neo4j { .. } => GraphBackend::Neo4j,
        GraphConfig::Database | GraphConfig::Off => GraphBackend::Database,
    };
    GraphHealth { backend, status }
}

impl From<QueueDepth> for Queue {
    fn from(depth: QueueDepth) -> Self {
        let QueueDepth { queued, running, dead, oldest_seconds, .. } = depth;
        Self { queued, running, dead, oldest_seconds }
    }
}

impl Example for Health {
    fn example() -> Self {
        Self {
            status: HealthStatus::Ok,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: 3600,
            database: DatabaseStatus::Ok,
            graph: GraphHealth { backend: GraphBackend::Database, status: GraphStatus::Ok },
            queue: Some(Queue { queued: 2, running: 1, dead: 0, oldest_seconds: 4 }),
            detail: None,
        }
    }
}

impl Example for Probe {
    fn example() -> Self {
        Self { status: "ok".to_owned() }
    }
}
