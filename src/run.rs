//! The only wiring: API, workers and sweeps under one shutdown token.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::Context;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    api,
    app::{App, Handle},
    config::Config,
    domain::Clock,
    graph::Graph,
    handlers,
    inbox::Workers,
    seal,
    store::Store,
    sweep,
    telemetry::Telemetry,
};

/// Which halves of nectr this process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Answers HTTP.
    pub api: bool,
    /// Works through the inbox.
    pub worker: bool,
}

impl Roles {
    /// Both.
    pub const ALL: Self = Self { api: true, worker: true };
}

/// Opens the database, migrates it, and puts the app together.
pub async fn prepare(config: Config, clock: Clock) -> anyhow::Result<Handle> {
    let store = Store::open(config.database_url.expose_secret(), clock).await.context("cannot open the database")?;
    store.migrate().await.context("cannot migrate the database")?;
    if !store.is_shared() {
        let reclaimed = store.reclaim().await?;
        if reclaimed > 0 {
            tracing::info!(reclaimed, "work of a process that died is due again");
        }
    }
    Ok(App::new(config, store)?)
}

/// The workers of an app.
pub fn workers(app: &Handle) -> Workers {
    let handle = app.clone();
    Workers::new(
        app.inbox.clone(),
        seal::random_unit,
        Arc::new(move |claimed| {
            let app = handle.clone();
            Box::pin(async move { handlers::handle(&app, claimed).await })
        }),
    )
}

/// `nectr serve`: until SIGTERM or SIGINT, and until `telemetry` has said its last.
pub async fn serve(config: Config, roles: Roles, mut telemetry: Telemetry) -> anyhow::Result<()> {
    let served = serve_with(config, roles, &mut telemetry).await;
    telemetry.end().await;
    served
}

async fn serve_with(config: Config, roles: Roles, telemetry: &mut Telemetry) -> anyhow::Result<()> {
    let listener = if roles.api {
        let listener = TcpListener::bind(config.listen).await;
        Some(listener.with_context(|| format!("cannot listen on {}", config.listen))?)
    } else {
        None
    };
    let app = prepare(config, Clock::system()).await?;
    tracing::info!(
        address = listener.as_ref().and_then(|listener| listener.local_addr().ok()).map(tracing::field::display),
        backend_url = %app.config.backend_url,
        version = env!("CARGO_PKG_VERSION"),
        "nectr is up"
    );
    let measured = app.clone();
    telemetry.send_numbers(move || {
        let app = measured.clone();
        async move { app.measure().await }
    });
    run(app, listener, roles.worker, terminated()).await
}

/// Runs an app until `stop` resolves, then ends it in order: readiness goes false, intake finishes, running work ends or
/// is handed back. Answers HTTP on `listener`, if there is one; works through the inbox if it is a `worker`.
pub async fn run(
    app: Handle,
    listener: Option<TcpListener>,
    worker: bool,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let mut parts = tokio::task::JoinSet::new();
    let (graph, until) = (app.graph.clone(), shutdown.clone());
    parts.spawn(async move {
        until.run_until_cancelled(prepare_graph(graph)).await;
        Ok(())
    });
    let (store, until) = (app.store.clone(), shutdown.clone());
    parts.spawn(async move {
        until.run_until_cancelled(store.checkpoints()).await;
        Ok(())
    });
    if let Some(listener) = listener {
        let (app, until) = (app.clone(), shutdown.clone());
        parts.spawn(async move { api::server::serve(listener, app, until).await.context("the HTTP server failed") });
    }
    if worker {
        let (workers, count, until) = (workers(&app), app.config.workers, shutdown.clone());
        parts.spawn(async move {
            workers.run(count, until).await;
            Ok(())
        });
        let (app, until) = (app.clone(), shutdown.clone());
        parts.spawn(async move {
            sweep::run(app, until).await;
            Ok(())
        });
    }
    let failed = tokio::select! {
        () = stop => None,
        Some(ended) = parts.join_next() => Some(ended),
    };
    app.draining.store(true, Ordering::SeqCst);
    shutdown.cancel();
    let ended = tokio::time::timeout(SHUTDOWN, async {
        let mut result = failed.map_or(Ok(()), flatten);
        while let Some(ended) = parts.join_next().await {
            result = result.and(flatten(ended));
        }
        app.inbox.close().await;
        result
    });
    ended.await.unwrap_or_else(|_| {
        tracing::warn!("not everything ended in time; what was running is picked up at the next start");
        Ok(())
    })
}

/// Makes the graph's schema, however often it takes, and never ends: a part that ends is a part that failed.
async fn prepare_graph(graph: Option<Graph>) {
    let Some(graph) = graph else { return std::future::pending().await };
    while let Err(error) = graph.prepare().await {
        tracing::error!(
            %error,
            backend = graph.backend(),
            "the code graph is not there: reviews go on without it; `nectr doctor` tells what to do"
        );
        tokio::time::sleep(GRAPH_AGAIN).await;
    }
    tracing::info!(backend = graph.backend(), "the code graph is ready");
    std::future::pending().await
}

/// Time between two tries to make the graph's schema.
const GRAPH_AGAIN: Duration = Duration::from_secs(30);

/// All of shutdown but telemetry's 2 s, GitHub's and every orchestrator's patience in mind.
const SHUTDOWN: Duration = Duration::from_secs(7);

fn flatten(ended: Result<anyhow::Result<()>, tokio::task::JoinError>) -> anyhow::Result<()> {
    ended.map_err(anyhow::Error::from).and_then(|result| result)
}

/// Resolves on SIGTERM or SIGINT.
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("shutting down");
}
