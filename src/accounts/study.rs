//! What is learned of a repository once it is connected: its files and its history for the code graph, and its profile.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    app::App,
    domain::{InstallationId, RepoId, RepoRef, graph::Held, task::TaskKind},
    inbox::NewTask,
    store::StoreError,
};

/// Has everything learned, what happened since an earlier connection included. Nothing that goes wrong here is the
/// connection's trouble: [`catch_up`] looks again.
pub(super) async fn queue(app: &App, installation: InstallationId, repo: &RepoRef) {
    for kind in kinds(app) {
        // What a run has read may be older than this connection.
        if let Err(error) = app.inbox.enqueue_again(task(app, kind, installation, repo)).await {
            tracing::warn!(%error, repo = %repo.name, task = kind.as_str(), "what is to be learned was not queued");
        }
    }
}

/// How long after learning has ended because GitHub did not show something it is not begun again by everybody who looks.
const LOOKED: TimeDelta = TimeDelta::minutes(10);

/// GitHub shows the repository to the bot; `news` if it did not before. Has learned what ended because it did not: somebody
/// has read the hint.
pub(super) async fn shown(
    app: &App,
    installation: InstallationId,
    repo: &RepoRef,
    news: bool,
) -> Result<(), StoreError> {
    for kind in kinds(app) {
        let last = app.store.latest_task(kind, &app.task_key(kind, repo.id)).await?;
        let gone = last.filter(|task| task.outcome.as_deref() == Some("gone"));
        let long_ago = |at: DateTime<Utc>| app.clock.now() - at >= LOOKED;
        if gone.is_some_and(|task| news || task.finished_at.is_some_and(long_ago)) {
            app.inbox.enqueue(task(app, kind, installation, repo)).await?;
        }
    }
    Ok(())
}

/// At start, and now and then: has learned what was never asked for, because the process died while connecting or the
/// repository was connected when there was nothing to learn for; what was asked for in vain; and what a graph that is not
/// the one it was has lost. Returns how much that is.
pub async fn catch_up(app: &App) -> Result<usize, StoreError> {
    let held = held(app).await;
    let mut asked = 0;
    for kind in kinds(app) {
        let made = |repo: RepoId| match (&held, kind) {
            (Some(held), TaskKind::Graph) => held.get(&repo).is_some_and(|held| held.built),
            (Some(held), TaskKind::History) => held.get(&repo).is_some_and(|held| held.history.is_some()),
            // Who cannot tell has lost nothing.
            _ => true,
        };
        for (installation, repo) in app.store.unlearned(kind, |repo| app.task_key(kind, repo), made).await? {
            app.inbox.enqueue(task(app, kind, installation, &repo)).await?;
            asked += 1;
        }
    }
    if held.is_some() {
        // Facts that died waiting for a graph: it is back.
        let revived = app.store.revive(TaskKind::Learn).await?;
        asked += usize::try_from(revived).unwrap_or(usize::MAX);
    }
    Ok(asked)
}

/// What the graph holds; none if there is none, or nobody knows.
async fn held(app: &App) -> Option<HashMap<RepoId, Held>> {
    let graph = app.graph.as_ref()?;
    let held = async { graph.ready().await?.held(None).await };
    Some(held.await.ok()?.into_iter().map(|held| (held.repo, held)).collect())
}

fn kinds(app: &App) -> impl Iterator<Item = TaskKind> + use<> {
    let graph = app.graph.is_some();
    [TaskKind::Graph, TaskKind::Scan, TaskKind::History]
        .into_iter()
        .filter(move |kind| graph || *kind == TaskKind::Scan)
}

fn task(app: &App, kind: TaskKind, installation: InstallationId, repo: &RepoRef) -> NewTask {
    let key = app.task_key(kind, repo.id);
    NewTask { kind, key, installation, repo: repo.clone(), number: None, payload: serde_json::json!({}) }
}
