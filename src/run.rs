//! The only wiring: API, workers and sweeps under one shutdown token. Whatever a process does, it can be asked how it is.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::Context;
use secrecy::ExposeSecret;
use tokio::net::{TcpListener, TcpSocket};
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
    /// Answers GitHub and people.
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
    store.recall_time().await?;
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
    let listener = listen(config.listen);
    let listener = listener.with_context(|| format!("cannot listen on {} (set HOST and PORT)", config.listen))?;
    let app = prepare(config, Clock::system()).await?;
    tracing::info!(
        address = listener.local_addr().ok().map(tracing::field::display),
        api = roles.api,
        worker = roles.worker,
        backend_url = %app.config.backend_url,
        version = env!("CARGO_PKG_VERSION"),
        "nectr is up"
    );
    let measured = app.clone();
    telemetry.send_numbers(move || {
        let app = measured.clone();
        async move { app.measure().await }
    });
    run(app, listener, roles, terminated()).await
}

/// Connections the kernel keeps until they are accepted, as far as its own limit (`net.core.somaxconn`) goes: who comes in a
/// crowd is to be looked at, not to be dropped and come again in seconds.
const BACKLOG: u32 = 4096;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of a process that has just ended do not keep the next one from listening.
    socket.set_reuseaddr(cfg!(unix))?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Runs an app until `stop` resolves, then ends it in order: readiness goes false, running work ends or is handed
/// back, requests and intake finish. Without the API, `listener` answers only how the process is, and its numbers.
pub async fn run(
    app: Handle,
    listener: TcpListener,
    roles: Roles,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let (shutdown, closing) = (CancellationToken::new(), CancellationToken::new());
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
    let (asked, until) = (app.clone(), closing.clone());
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move {
        let served = match roles.api {
            true => api::server::serve(listener, asked, until).await,
            false => api::server::serve_probes(listener, asked, until).await,
        };
        served.context("the HTTP server failed")
    });
    if roles.worker {
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
        () = stop => Ok(()),
        Some(ended) = parts.join_next() => flatten(ended),
        Some(ended) = server.join_next() => flatten(ended),
    };
    app.draining.store(true, Ordering::SeqCst);
    shutdown.cancel();
    let ended = tokio::time::timeout(SHUTDOWN, async {
        let mut result = failed;
        while let Some(ended) = parts.join_next().await {
            result = result.and(flatten(ended));
        }
        // Only now: until the work has ended, whoever asks is told that this process takes no more, and nobody is refused.
        closing.cancel();
        while let Some(ended) = server.join_next().await {
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

/// Resolves on SIGTERM or SIGINT. From the call on, not only from the first look, these no longer end the process by
/// themselves.
pub fn terminated() -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    async move {
        let [Ok(mut term), Ok(mut interrupt)] = signals else { return std::future::pending().await };
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("shutting down");
    }
}
