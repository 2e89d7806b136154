//! How far learning a repository is, as its tasks tell.

use chrono::{DateTime, Utc};

use super::trouble::Reason;
use crate::{
    app::App,
    domain::{RepoRef, task::TaskKind},
    store::{StoreError, deliveries::Status, tasks::TaskRow},
};

/// How far durable work on a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Where it stands.
    pub stage: Stage,
    /// When it last ended well.
    pub finished_at: Option<DateTime<Utc>>,
    /// What went wrong last, if that is how it stands: a sentence for everybody.
    pub error: Option<String>,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is switched off.
    Off,
    /// A worker will see to it.
    Queued,
    /// A worker sees to it.
    Running,
    /// It ended well.
    Done,
    /// It did not, yet.
    Failed,
}

pub(super) async fn of(app: &App, kind: TaskKind, repo: &RepoRef) -> Result<Progress, StoreError> {
    if kind == TaskKind::Graph && app.graph.is_none() {
        return Ok(Progress { stage: Stage::Off, finished_at: None, error: None });
    }
    let key = app.task_key(kind, repo.id);
    let finished_at = app.store.last_completed(kind, &key).await?;
    let Some(task) = app.store.latest_task(kind, &key).await? else {
        // The sweep is going to ask for it.
        return Ok(Progress { stage: Stage::Queued, finished_at, error: None });
    };
    let (stage, error) = match standing(task, repo) {
        // Somebody emptied the graph, or put another one in its place. The sweep is going to ask for it.
        (Stage::Done, _) if kind == TaskKind::Graph && !is_built(app, repo).await => (Stage::Queued, None),
        standing => standing,
    };
    Ok(Progress { stage, finished_at, error })
}

/// Whether the graph holds a repository's files. Who cannot tell has not lost them.
async fn is_built(app: &App, repo: &RepoRef) -> bool {
    let Some(graph) = &app.graph else { return true };
    let held = async { graph.ready().await?.held(Some(repo.id)).await };
    held.await.map_or(true, |held| held.iter().any(|held| held.built))
}

/// How a task stands, and what went wrong if it failed.
pub(super) fn standing(task: TaskRow, repo: &RepoRef) -> (Stage, Option<String>) {
    match task.status {
        Status::Queued => (Stage::Queued, None),
        Status::Running => (Stage::Running, None),
        Status::Completed if task.outcome.as_deref() == Some("gone") => (Stage::Failed, Some(gone(repo))),
        Status::Completed | Status::Superseded => (Stage::Done, None),
        Status::Ignored => (Stage::Failed, Some(format!("{} was disconnected meanwhile", repo.name))),
        Status::Failed | Status::Dead => {
            let reason = Reason::read(&task.error.unwrap_or_default());
            (Stage::Failed, Some(reason.sentence().to_owned()))
        }
    }
}

fn gone(repo: &RepoRef) -> String {
    format!(
        "GitHub does not show {} to the bot's account: invite it as a collaborator, if the repository still exists",
        repo.name
    )
}
