//! What nectr learns, and when: files on connect, on request and after merges; history and profile on connect; pull
//! requests and issues from what happens to them. What could not be written while the graph was away is a task, and
//! is written later.

mod build;
mod history;
mod learn;
mod profile;
mod progress;
mod rescan;
mod trouble;

use crate::{
    app::App,
    domain::{
        InstallationId, RepoRef,
        pull_request::{ChangedFile, PullRequest},
        task::TaskKind,
    },
    inbox::NewTask,
    scan,
    store::{
        StoreError,
        outcome::{Failure, Outcome},
        work::Lease,
    },
};

pub use learn::{issue, issue_gone, pull, put_off};
pub use progress::{Progress, Stage};
pub use rescan::{RescanError, rescan};
use trouble::{Trouble, ended};

/// The task `graph`: brings the graph's files up to the default branch.
pub async fn build(app: &App, lease: Lease, installation: InstallationId, repo: &RepoRef) -> Result<Outcome, Failure> {
    ended(build::run(app, lease, installation, repo).await)
}

/// The task `history`: pull requests, issues and people from before. Goes on where an earlier attempt stopped, which is in
/// `progress`.
pub async fn history(app: &App, lease: Lease, repo: &RepoRef, progress: serde_json::Value) -> Result<Outcome, Failure> {
    ended(history::run(app, lease, repo, progress).await)
}

/// The task `issues`: those that changed since a time.
pub async fn issues_since(app: &App, repo: &RepoRef, payload: &serde_json::Value) -> Result<Outcome, Failure> {
    ended(history::issues_since(app, repo, payload).await)
}

/// The task `scan`: reads the key files and writes the profile.
pub async fn scan(app: &App, repo: &RepoRef) -> Result<Outcome, Failure> {
    ended(profile::run(app, repo).await)
}

/// How far the `graph` or `scan` of a repository is.
pub async fn progress(app: &App, kind: TaskKind, repo: &RepoRef) -> Result<Progress, StoreError> {
    progress::of(app, kind, repo).await
}

/// A pull request was merged: what is known of the default branch's files is read again.
pub async fn merged(
    app: &App,
    installation: InstallationId,
    pull: &PullRequest,
    files: Option<&[ChangedFile]>,
) -> Result<(), StoreError> {
    if !pull.into_default_branch {
        return Ok(());
    }
    if app.graph.is_some() {
        app.inbox.enqueue_again(task(app, TaskKind::Graph, installation, &pull.repo)).await?;
    }
    let names = |file: &ChangedFile| {
        scan::is_key_file(&file.path) || file.previous_path.as_deref().is_some_and(scan::is_key_file)
    };
    if files.is_none_or(|files| files.iter().any(names)) {
        app.inbox.enqueue_again(task(app, TaskKind::Scan, installation, &pull.repo)).await?;
    }
    Ok(())
}

/// A task about a whole repository.
fn task(app: &App, kind: TaskKind, installation: InstallationId, repo: &RepoRef) -> NewTask {
    let key = app.task_key(kind, repo.id);
    NewTask { kind, key, installation, repo: repo.clone(), number: None, payload: serde_json::json!({}) }
}

/// A computation that would hold everybody else up.
async fn aside<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    Ok(tokio::task::spawn_blocking(compute).await?)
}
