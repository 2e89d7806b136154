//! Tasks: what people and nectr itself asked for.

use chrono::{DateTime, Utc};

use super::pull_request;
use crate::{
    accounts,
    app::App,
    domain::{InstallationId, PrNumber, RepoRef, TaskId, event::PullHint, retry::Retry, task::TaskKind},
    knowledge, review,
    store::{
        outcome::{Failure, Outcome},
        work::Lease,
    },
};

/// A task, as claimed.
pub(super) struct Task {
    pub id: TaskId,
    pub installation: InstallationId,
    pub made_at: DateTime<Utc>,
    pub kind: String,
    pub repo: Option<RepoRef>,
    pub number: Option<PrNumber>,
    pub payload: serde_json::Value,
}

pub(super) async fn handle(app: &App, lease: Lease, task: Task) -> Result<Outcome, Failure> {
    let (Some(kind), Some(repo)) = (TaskKind::parse(&task.kind), task.repo) else {
        return Err(unknown(&task.kind));
    };
    let installation = task.installation;
    match kind {
        TaskKind::Review => {
            if !super::still_connected(app, installation).await? {
                return Ok(DISCONNECTED);
            }
            let number = task.number.ok_or_else(|| unknown(&task.kind))?;
            let again = task.payload["force"].as_bool().unwrap_or(false).then_some(task.id);
            let request = review::Request { repo, number, hint: None, again };
            pull_request::review(app, lease, installation, task.made_at, &request).await
        }
        TaskKind::CatchUp => accounts::catch_up::run(app, installation).await,
        TaskKind::Look => {
            if !super::still_connected(app, installation).await? {
                return Ok(DISCONNECTED);
            }
            let hint: PullHint = serde_json::from_value(task.payload).map_err(|_| unknown(&task.kind))?;
            let request = review::Request { repo, number: hint.number, hint: Some(hint), again: None };
            pull_request::review(app, lease, installation, task.made_at, &request).await
        }
        TaskKind::Graph | TaskKind::History | TaskKind::Issues | TaskKind::Scan => {
            let Some(repo) = present(app, installation, repo).await? else { return Ok(DISCONNECTED) };
            match kind {
                TaskKind::Graph => knowledge::build(app, lease, installation, &repo).await,
                TaskKind::History => knowledge::history(app, lease, &repo, task.payload).await,
                TaskKind::Issues => knowledge::issues_since(app, &repo, &task.payload).await,
                _ => knowledge::scan(app, &repo).await,
            }
        }
        // It was true when it was learned, and stays so.
        TaskKind::Learn => knowledge::put_off(app, &repo, task.payload).await,
    }
}

const DISCONNECTED: Outcome = Outcome::ignored("disconnected");

/// The repository as it is called now, if anybody has it connected: work on a whole repository is everybody's, whoever
/// asked first. The operator's repositories are not connected, and go by the name they had.
async fn present(app: &App, installation: InstallationId, repo: RepoRef) -> Result<Option<RepoRef>, Failure> {
    let connected = app.store.connected_repository(repo.id).await?;
    Ok(connected.or_else(|| (installation == InstallationId::OPERATOR).then_some(repo)))
}

fn unknown(kind: &str) -> Failure {
    Failure::Again { retry: Retry::Count, error: format!("this version does not know the task {kind:?}") }
}
