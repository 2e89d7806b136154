//! The rows of tasks: durable work that is not a delivery.

use sea_orm::{ConnectionTrait, Value};

use super::{Lane, Store, StoreError};
use crate::domain::{InstallationId, PrNumber, RepoRef, TaskId};

/// Durable work that is not a delivery.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// What to do, e.g. `review`.
    pub kind: &'static str,
    /// At most one unfinished task per kind and key.
    pub key: String,
    /// On whose behalf.
    pub installation: InstallationId,
    /// The repository.
    pub repo: RepoRef,
    /// The pull request, if it is about one.
    pub number: Option<PrNumber>,
    /// Arguments.
    pub payload: serde_json::Value,
}

impl Store {
    /// Puts a task on disk, or joins the unfinished one of the same kind and key. A joined task that does not run yet takes
    /// the new arguments.
    pub async fn enqueue(&self, task: &NewTask) -> Result<TaskId, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = "INSERT INTO tasks (installation_id, kind, key, repo_id, repo, pr_number, payload, status, attempts, \
                   fence, due_at, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', 0, 0, $8, $8) \
                   ON CONFLICT (kind, key) WHERE due_at IS NOT NULL DO UPDATE SET payload = \
                   CASE WHEN tasks.status = 'running' THEN tasks.payload ELSE excluded.payload END RETURNING id";
        let values: [Value; 8] = [
            task.installation.0.into(),
            task.kind.into(),
            task.key.clone().into(),
            task.repo.id.0.into(),
            task.repo.name.to_string().into(),
            task.number.map(|number| number.0).into(),
            task.payload.to_string().into(),
            self.now().into(),
        ];
        let row = tx
            .query_one_raw(self.sql(sql, values))
            .await?
            .ok_or_else(|| StoreError::Corrupt("a task is neither new nor known".into()))?;
        let id = TaskId(row.try_get("", "id")?);
        tx.commit().await?;
        Ok(id)
    }
}
