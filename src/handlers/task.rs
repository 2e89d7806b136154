//! Tasks: what people and nectr itself asked for.

use crate::{
    app::App,
    domain::{PrNumber, RepoRef, TaskId, retry::Retry},
    review,
    store::{
        outcome::{Failure, Outcome},
        work::Lease,
    },
};

/// A task, as claimed.
pub(super) struct Task {
    pub id: TaskId,
    pub kind: String,
    pub repo: Option<RepoRef>,
    pub number: Option<PrNumber>,
    pub payload: serde_json::Value,
}

pub(super) async fn handle(app: &App, lease: Lease, task: Task) -> Result<Outcome, Failure> {
    match (task.kind.as_str(), task.repo, task.number) {
        ("review", Some(repo), Some(number)) => {
            let again = task.payload["force"].as_bool().unwrap_or(false).then_some(task.id);
            review::run(app, lease, &review::Request { repo, number, hint: None, again }).await
        }
        (kind, ..) => {
            let error = format!("this version does not know the task {kind:?}");
            Err(Failure::Again { retry: Retry::Count, error })
        }
    }
}
