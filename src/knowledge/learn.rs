//! Facts for the graph, written at once or, when it is away, later by a task.
//!
//! Facts carry the time GitHub stamped on them and may be written in any order, so one that was put off never undoes a
//! newer one. Trouble with the graph is nobody else's: whoever learned the fact goes on.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Trouble, task};
use crate::{
    app::App,
    domain::{
        InstallationId, RepoId, RepoRef,
        graph::{IssueFact, IssueRef, PullFact},
        retry::Retry,
        task::TaskKind,
    },
    graph::{Graph, GraphError},
    inbox::NewTask,
    store::outcome::{Failure, Outcome},
};

/// Longest time somebody who has other things to do waits for a fact to be written.
const AT_ONCE: Duration = Duration::from_secs(5);

/// What is put off. The words are in the database: they are added to, never renamed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fact {
    Pull(PullFact),
    Issue(IssueFact),
    IssueGone(IssueRef),
}

/// Teaches the graph a pull request. Returns when it is in the graph or on disk as a task.
pub async fn pull(app: &App, installation: InstallationId, repo: &RepoRef, fact: PullFact) -> Result<(), Failure> {
    learn(app, installation, repo, Fact::Pull(fact)).await
}

/// Teaches the graph an issue, likewise.
pub async fn issue(app: &App, installation: InstallationId, repo: &RepoRef, fact: IssueFact) -> Result<(), Failure> {
    learn(app, installation, repo, Fact::Issue(fact)).await
}

/// Makes the graph forget an issue, likewise.
pub async fn issue_gone(
    app: &App,
    installation: InstallationId,
    repo: &RepoRef,
    issue: IssueRef,
) -> Result<(), Failure> {
    learn(app, installation, repo, Fact::IssueGone(issue)).await
}

/// The task `learn`: a fact that was put off.
pub async fn put_off(app: &App, repo: &RepoRef, payload: serde_json::Value) -> Result<Outcome, Failure> {
    let Some(graph) = &app.graph else { return Ok(Outcome::ignored("graph_off")) };
    let fact: Fact = serde_json::from_value(payload).map_err(Trouble::from)?;
    match write(graph, repo.id, &fact).await {
        Ok(()) => Ok(Outcome::completed("learned")),
        Err(error) => {
            // One asks for all: a graph that is away must not keep every worker waiting for it, one fact at a time.
            if let Retry::Park(wait) = error.retry() {
                app.store.hold_back(TaskKind::Learn, wait).await?;
            }
            Err(Trouble::from(error).into())
        }
    }
}

async fn learn(app: &App, installation: InstallationId, repo: &RepoRef, fact: Fact) -> Result<(), Failure> {
    let Some(graph) = &app.graph else { return Ok(()) };
    let wait = match app.store.held_back_for(TaskKind::Learn).await? {
        // The graph was away a moment ago. Whoever waited for it then tells when it is back.
        Some(wait) => wait,
        None => {
            let written = tokio::time::timeout(AT_ONCE, write(graph, repo.id, &fact)).await;
            let Err(error) = written.unwrap_or(Err(GraphError::Unavailable("the code graph"))) else { return Ok(()) };
            tracing::warn!(%error, repo = %repo.name, "a fact for the code graph is put off");
            match error.retry() {
                Retry::Park(wait) => wait,
                Retry::Count | Retry::Away => Duration::ZERO,
            }
        }
    };
    let payload = serde_json::to_value(&fact).map_err(Trouble::from)?;
    let key = format!("{} {}", repo.id, hex(&Sha256::digest(payload.to_string())));
    let task = NewTask { key, payload, ..task(app, TaskKind::Learn, installation, repo) };
    app.inbox.enqueue_later(task, wait).await?;
    Ok(())
}

#[tracing::instrument(name = "teach the code graph", skip_all, fields(backend = graph.backend()))]
async fn write(graph: &Graph, repo: RepoId, fact: &Fact) -> Result<(), GraphError> {
    let graph = graph.ready().await?;
    match fact {
        Fact::Pull(fact) => graph.learn_pulls(repo, std::slice::from_ref(fact)).await,
        Fact::Issue(fact) => graph.learn_issues(std::slice::from_ref(fact)).await,
        Fact::IssueGone(issue) => graph.forget_issue(*issue).await,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
