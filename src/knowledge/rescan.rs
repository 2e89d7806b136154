//! Bringing the graph up to date while somebody waits for it.

use std::time::Duration;

use super::{
    progress::{Stage, standing},
    task,
    trouble::Reason,
};
use crate::{
    app::App,
    domain::{InstallationId, RepoRef, task::TaskKind},
    graph::{Graph, GraphError, GraphHealth},
    store::StoreError,
};

/// Longest time somebody waits; the task goes on.
const PATIENCE: Duration = Duration::from_secs(600);

/// Time between looks at the task, growing from the first to the second.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

/// Why somebody who waited for a rescan waited in vain. The texts are the contract's.
#[derive(Debug, thiserror::Error)]
pub enum RescanError {
    /// There is no graph.
    #[error("Neo4j not configured")]
    NotConfigured,
    /// The graph does not answer.
    #[error("Neo4j is unreachable")]
    Unreachable,
    /// The attempt failed, and this is for everybody. The task may be tried again all the same.
    #[error("Rescan failed: {0}")]
    Failed(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<GraphError> for RescanError {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Unavailable(_) => Self::Unreachable,
            error => {
                tracing::warn!(%error, "a rescan failed");
                Self::Failed(Reason::of(&error).sentence().to_owned())
            }
        }
    }
}

/// Brings the graph's files up to the default branch and waits for it; has the profile written anew beside that. Who asks
/// while that is being done waits for the same run. Returns how many files the graph holds. The tasks go on if the caller leaves.
pub async fn rescan(app: &App, installation: InstallationId, repo: &RepoRef) -> Result<i64, RescanError> {
    let graph = app.graph.as_ref().ok_or(RescanError::NotConfigured)?;
    answers(graph).await?;
    let id = app.inbox.enqueue(task(app, TaskKind::Graph, installation, repo)).await?;
    app.inbox.enqueue(task(app, TaskKind::Scan, installation, repo)).await?;
    let waited = tokio::time::timeout(PATIENCE, async {
        let mut pause = LOOK.0;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK.1);
            let Some(task) = app.store.task(id).await? else {
                return Ok((Stage::Failed, None));
            };
            match standing(task, repo) {
                (Stage::Queued | Stage::Running, _) => {}
                ended => return Ok::<_, StoreError>(ended),
            }
        }
    });
    let (stage, error) = waited.await.map_err(|_| {
        RescanError::Failed(format!("it takes longer than {} minutes, and goes on", PATIENCE.as_secs() / 60))
    })??;
    if stage != Stage::Done {
        answers(graph).await?;
        return Err(RescanError::Failed(error.unwrap_or_else(|| Reason::Inside.sentence().to_owned())));
    }
    let scan = graph.ready().await?.scan(repo.id).await?;
    Ok(scan.map_or(0, |scan| scan.files))
}

async fn answers(graph: &Graph) -> Result<(), RescanError> {
    match graph.health().await {
        GraphHealth::Ok => Ok(()),
        GraphHealth::Unreachable => Err(RescanError::Unreachable),
        GraphHealth::Failed(error) => {
            tracing::warn!(error, "a rescan without a code graph");
            Err(RescanError::Failed(Reason::GraphSetUp.sentence().to_owned()))
        }
    }
}
