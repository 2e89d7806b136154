//! What is learned of a repository once it is connected: its files and its history for the code graph, and its profile.

use crate::{
    app::App,
    domain::{InstallationId, RepoRef, task::TaskKind},
    inbox::NewTask,
    store::StoreError,
};

/// Has everything learned. Nothing that goes wrong here is the connection's trouble: [`catch_up`] looks again.
pub(super) async fn queue(app: &App, installation: InstallationId, repo: &RepoRef) {
    for kind in kinds(app) {
        if let Err(error) = ask(app, kind, installation, repo).await {
            tracing::warn!(%error, repo = %repo.name, task = kind.as_str(), "what is to be learned was not queued");
        }
    }
}

/// GitHub shows the repository to the bot. Has learned what ended because it did not: somebody has read the hint.
pub(super) async fn shown(app: &App, installation: InstallationId, repo: &RepoRef) -> Result<(), StoreError> {
    for kind in kinds(app) {
        let last = app.store.latest_task(kind, &app.task_key(kind, repo.id)).await?;
        if last.is_some_and(|task| task.outcome.as_deref() == Some("gone")) {
            ask(app, kind, installation, repo).await?;
        }
    }
    Ok(())
}

/// At start, and now and then: has learned what was never asked for, because the process died while connecting or the
/// repository was connected when there was nothing to learn for, and what was asked for in vain. Returns how much that is.
pub async fn catch_up(app: &App) -> Result<usize, StoreError> {
    let mut asked = 0;
    for kind in kinds(app) {
        for (installation, repo) in app.store.unlearned(kind, |repo| app.task_key(kind, repo)).await? {
            ask(app, kind, installation, &repo).await?;
            asked += 1;
        }
    }
    Ok(asked)
}

fn kinds(app: &App) -> impl Iterator<Item = TaskKind> + use<> {
    app.graph.is_some().then_some(TaskKind::Graph).into_iter().chain([TaskKind::Scan])
}

/// Puts the task on disk, or joins the unfinished one.
async fn ask(app: &App, kind: TaskKind, installation: InstallationId, repo: &RepoRef) -> Result<(), StoreError> {
    let key = app.task_key(kind, repo.id);
    let task = NewTask { kind, key, installation, repo: repo.clone(), number: None, payload: serde_json::json!({}) };
    app.inbox.enqueue(task).await.map(|_| ())
}
