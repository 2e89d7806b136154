//! The handles every room may use.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

use crate::{
    config::{Config, GraphConfig},
    domain::{Clock, RepoId, UserId, task::TaskKind},
    github::{BoxError, GitHub, GitHubError, GitHubOptions, RateGate, pr_state::PrStates},
    graph::{Graph, GraphError, GraphHealth, database, neo4j},
    inbox::Inbox,
    seal::Sealer,
    store::{Store, writes::Place},
    telemetry::metrics::{Waiting, metrics},
};

/// Who looks at the numbers waits no longer than this for what is in the database; then they are what the process knows.
const PATIENCE: Duration = Duration::from_secs(2);

/// One process's nectr. Shared as [`Handle`].
pub struct App {
    /// Settings.
    pub config: Config,
    /// Time.
    pub clock: Clock,
    /// The database.
    pub store: Store,
    /// Secrets at rest.
    pub sealer: Sealer,
    /// GitHub.
    pub github: GitHub,
    /// The code graph; none with `GRAPH=off`.
    pub graph: Option<Graph>,
    /// Remembered pull-request states.
    pub pr_states: PrStates,
    /// When GitHub last said nothing of what a user may see, for as long as anybody waits.
    pub github_silent: Mutex<HashMap<UserId, DateTime<Utc>>>,
    /// Where deliveries and tasks are handed in.
    pub inbox: Inbox,
    /// Set while the process is shutting down: `/health/ready` says 503.
    pub draining: AtomicBool,
    /// When the process started.
    pub started: Instant,
}

/// How the app is passed around.
pub type Handle = Arc<App>;

impl App {
    /// The key of a task on a whole repository.
    pub fn task_key(&self, kind: TaskKind, repo: RepoId) -> String {
        kind.key(repo, self.graph.as_ref().map(Graph::backend))
    }

    /// Puts into the metrics what only the database and the graph know.
    pub async fn measure(&self) {
        let metrics = metrics();
        metrics.uptime_seconds.set(i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::MAX));
        let depth = tokio::time::timeout(PATIENCE, self.store.queue_depth()).await.ok().and_then(Result::ok);
        metrics.waiting(depth.map(|depth| Waiting {
            queued: depth.queued,
            running: depth.running,
            dead: depth.dead,
            oldest_seconds: depth.oldest_seconds,
            reasons: [("delivery", depth.deliveries), ("task", depth.tasks)].map(|(source, waits)| {
                (source, [("queued", waits.queued), ("failed", waits.failed), ("parked", waits.parked)])
            }),
        }));
        let webhooks = tokio::time::timeout(PATIENCE, self.store.webhooks()).await.ok().and_then(Result::ok);
        metrics.webhooks(webhooks.map(|known| known.map(|(state, count)| (state.as_str(), count))));
        if let Some(graph) = &self.graph {
            let health = tokio::time::timeout(PATIENCE, graph.health()).await;
            let up = matches!(health, Ok(GraphHealth::Ok));
            metrics.graph_up.with_label_values(&[graph.backend()]).set(i64::from(up));
        }
    }

    /// Puts the handles together. The database must be open and migrated; nothing is asked of GitHub yet.
    pub fn new(config: Config, store: Store) -> Result<Handle, SetupError> {
        let clock = store.clock().clone();
        let gate = SharedGate {
            store: store.clone(),
            per_minute: config.github.writes_per_minute,
            per_hour: config.github.writes_per_hour,
        };
        let github = GitHub::new(GitHubOptions {
            api_url: config.github.api_url.clone(),
            server_url: config.github.server_url.clone(),
            oauth: config.github.oauth.clone().map(|app| (app.client_id, app.client_secret)),
            pat: config.github.pat.clone(),
            ask_gh: config.github.ask_gh,
            gate: Arc::new(gate),
            clock: clock.clone(),
        })?;
        Ok(Arc::new(Self {
            graph: graph(&config, &store)?,
            sealer: Sealer::new(&config.secret_key, config.secret_key_previous.as_ref()),
            pr_states: PrStates::new(clock.clone()),
            github_silent: Mutex::default(),
            inbox: Inbox::start(store.clone())?,
            draining: AtomicBool::new(false),
            started: Instant::now(),
            config,
            clock,
            store,
            github,
        }))
    }
}

/// Why an app could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The GitHub client.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    /// The code graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The thread that writes deliveries.
    #[error("no thread to write deliveries with")]
    Thread(#[from] std::io::Error),
}

fn graph(config: &Config, store: &Store) -> Result<Option<Graph>, GraphError> {
    Ok(match &config.graph {
        GraphConfig::Off => None,
        GraphConfig::Database => Some(Graph::new(database::Database::new(store.clone()))),
        GraphConfig::Neo4j { uri, username, password, database } => {
            Some(Graph::new(neo4j::Neo4j::new(&neo4j::Neo4jOptions {
                uri: uri.clone(),
                username: username.clone(),
                password: password.clone(),
                database: database.clone(),
            })?))
        }
    })
}

/// GitHub's limits hold for the bot's account, so all replicas draw from one table.
struct SharedGate {
    store: Store,
    per_minute: u32,
    per_hour: u32,
}

impl RateGate for SharedGate {
    fn admit(&self) -> Pin<Box<dyn Future<Output = Result<Option<Duration>, BoxError>> + Send + '_>> {
        Box::pin(async {
            match self.store.admit_write(self.per_minute, self.per_hour).await? {
                Place::Taken(turn) => {
                    tokio::time::sleep(turn).await;
                    Ok(None)
                }
                Place::NoneFor(wait) => Ok(Some(wait)),
            }
        })
    }
}
