//! The rows of tasks: durable work that is not a delivery.
//!
//! Of each kind and key at most one is unfinished. Who asks for work that is being done already either joins it
//! ([`Store::enqueue`]) or has it done once more afterwards ([`Store::enqueue_again`]): what a run has read may be older
//! than what made somebody ask.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::{
    Lane, Store, StoreError, WriteTx,
    deliveries::Status,
    time,
    work::{Lease, Source},
};
use crate::{
    domain::{InstallationId, PrNumber, RepoId, RepoName, RepoRef, TaskId, task::TaskKind},
    telemetry::trace,
};

/// In microseconds, as times are.
const HOUR: i64 = 3_600_000_000;

/// Durable work that is not a delivery.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// What to do.
    pub kind: TaskKind,
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

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// Which.
    pub id: TaskId,
    /// Where it stands. `failed` will be tried again.
    pub status: Status,
    /// When it was finished.
    pub finished_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<String>,
    /// What went wrong last; none if the last run ended well.
    pub error: Option<String>,
}

/// What to do it with, and the trace it is asked for in.
fn arguments(task: &NewTask) -> Cow<'_, serde_json::Value> {
    let (true, Some(trace)) = (task.payload.is_object(), trace::current()) else { return Cow::Borrowed(&task.payload) };
    let mut payload = task.payload.clone();
    payload[trace::KEPT] = trace.into();
    Cow::Owned(payload)
}

impl Store {
    /// Puts a task on disk, or joins the unfinished one of the same kind and key. A joined task that does not run yet takes
    /// the new arguments and is due now, whatever retry it waited for.
    pub async fn enqueue(&self, task: &NewTask) -> Result<TaskId, StoreError> {
        self.put(task, Duration::ZERO, false).await
    }

    /// As [`Store::enqueue`], but a task that runs is run once more when it has ended.
    pub async fn enqueue_again(&self, task: &NewTask) -> Result<TaskId, StoreError> {
        self.put(task, Duration::ZERO, true).await
    }

    /// As [`Store::enqueue`], due only after `wait`.
    pub async fn enqueue_later(&self, task: &NewTask, wait: Duration) -> Result<TaskId, StoreError> {
        self.put(task, wait, false).await
    }

    async fn put(&self, task: &NewTask, wait: Duration, again: bool) -> Result<TaskId, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let now = self.now();
        let sql = "INSERT INTO tasks (installation_id, kind, key, repo_id, repo, pr_number, payload, status, attempts, \
                   fence, due_at, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', 0, 0, $8, $9) \
                   ON CONFLICT (kind, key) WHERE due_at IS NOT NULL DO UPDATE SET \
                   payload = CASE WHEN tasks.status = 'running' THEN tasks.payload ELSE excluded.payload END, \
                   due_at = CASE WHEN tasks.status = 'running' THEN tasks.due_at ELSE excluded.due_at END, \
                   status = CASE WHEN tasks.status = 'running' THEN tasks.status ELSE 'queued' END, \
                   again = tasks.again OR (tasks.status = 'running' AND $10) RETURNING id";
        let values: [Value; 10] = [
            task.installation.0.into(),
            task.kind.as_str().into(),
            task.key.clone().into(),
            task.repo.id.0.into(),
            task.repo.name.to_string().into(),
            task.number.map(|number| number.0).into(),
            arguments(task).to_string().into(),
            (now + i64::try_from(wait.as_micros()).unwrap_or(0)).into(),
            now.into(),
            again.into(),
        ];
        let row = tx
            .query_one_raw(self.sql(sql, values))
            .await?
            .ok_or_else(|| StoreError::Corrupt("a task is neither new nor known".into()))?;
        let id = TaskId(row.try_get("", "id")?);
        tx.commit().await?;
        Ok(id)
    }

    /// One task.
    pub async fn task(&self, id: TaskId) -> Result<Option<TaskRow>, StoreError> {
        let sql = format!("{SELECT} WHERE id = $1");
        self.read().query_one_raw(self.sql(&sql, [id.0.into()])).await?.as_ref().map(row).transpose()
    }

    /// The latest task of a kind and key that was not dropped (which is what happens to work of a connection that ended).
    pub async fn latest_task(&self, kind: TaskKind, key: &str) -> Result<Option<TaskRow>, StoreError> {
        let sql = format!("{SELECT} WHERE kind = $1 AND key = $2 AND status <> 'ignored' ORDER BY id DESC LIMIT 1");
        let values: [Value; 2] = [kind.as_str().into(), key.into()];
        self.read().query_one_raw(self.sql(&sql, values)).await?.as_ref().map(row).transpose()
    }

    /// When a task of a kind and key last ended well.
    pub async fn last_completed(&self, kind: TaskKind, key: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let sql = "SELECT finished_at FROM tasks WHERE kind = $1 AND key = $2 AND status = 'completed' \
                   AND outcome <> 'gone' ORDER BY id DESC LIMIT 1";
        let row = self.read().query_one_raw(self.sql(sql, [kind.as_str().into(), key.into()])).await?;
        Ok(row.map(|row| row.try_get("", "finished_at")).transpose()?.map(time))
    }

    /// Connected repositories for which a kind of task has to be asked for, under the `key` they have for it: it never
    /// was, or what it made is not there (any more) as far as `made` can tell, or the last one ended without having made
    /// anything (dead, or GitHub did not show the repository) and it is time to look again. The longer that goes on, the
    /// rarer: after an hour at first, once a day in the end.
    pub async fn unlearned(
        &self,
        kind: TaskKind,
        key: impl Fn(RepoId) -> String,
        made: impl Fn(RepoId) -> bool,
    ) -> Result<Vec<(InstallationId, RepoRef)>, StoreError> {
        let sql = "SELECT key, finished_at, status = 'dead' OR COALESCE(outcome, '') = 'gone' AS in_vain FROM tasks \
                   WHERE id IN (SELECT MAX(id) FROM tasks WHERE kind = $1 AND status <> 'ignored' GROUP BY key)";
        let rows = self.read().query_all_raw(self.sql(sql, [kind.as_str().into()])).await?;
        let last = rows.iter().map(|row| {
            let finished: Option<i64> = row.try_get("", "finished_at")?;
            Ok((row.try_get("", "key")?, (finished, row.try_get("", "in_vain")?)))
        });
        let last = last.collect::<Result<HashMap<String, (Option<i64>, bool)>, DbErr>>()?;
        let sql = "SELECT MIN(id) AS id, repo_id, repo, MAX(connected_at) AS connected_at FROM installations \
                   WHERE state = 'active' GROUP BY repo_id, repo";
        let now = self.now();
        let mut missing = Vec::new();
        for row in self.read().query_all_raw(self.sql(sql, [])).await? {
            let repo = RepoId(row.try_get("", "repo_id")?);
            let due = match last.get(&key(repo)) {
                None => true,
                Some((None, _)) => false,
                Some((Some(_), false)) => !made(repo),
                Some((Some(in_vain), true)) => {
                    let connected: Option<i64> = row.try_get("", "connected_at")?;
                    now - in_vain >= (in_vain - connected.unwrap_or(*in_vain)).clamp(HOUR, 24 * HOUR)
                }
            };
            if due {
                let name: String = row.try_get("", "repo")?;
                let name = RepoName::parse(&name).ok_or_else(|| StoreError::Corrupt(format!("repository {name:?}")))?;
                missing.push((InstallationId(row.try_get("", "id")?), RepoRef { id: repo, name }));
            }
        }
        Ok(missing)
    }

    /// Has work of a kind tried again, with all its attempts, that has been dead for an hour; not what is older than two
    /// weeks, of which nobody believes any more that it will ever succeed. Returns how much that is.
    pub async fn revive(&self, kind: TaskKind) -> Result<u64, StoreError> {
        let now = self.now();
        let tx = self.begin(Lane::Work).await?;
        let sql = "UPDATE tasks SET status = 'queued', attempts = 0, due_at = $2, finished_at = NULL, last_error = NULL \
                   WHERE id IN (SELECT MAX(id) FROM tasks WHERE kind = $1 AND status = 'dead' AND finished_at <= $3 \
                   AND received_at >= $4 GROUP BY key) \
                   AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.kind = $1 AND t.key = tasks.key AND t.due_at IS NOT NULL)";
        let values: [Value; 4] = [kind.as_str().into(), now.into(), (now - HOUR).into(), (now - 14 * 24 * HOUR).into()];
        let revived = tx.execute_raw(self.sql(sql, values)).await?.rows_affected();
        tx.commit().await?;
        Ok(revived)
    }

    /// Keeps how far a running task has come, in place of its arguments: the next attempt is given this.
    pub async fn keep_progress(&self, lease: Lease, payload: &serde_json::Value) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        self.check_fence(&tx, lease).await?;
        let sql = format!("UPDATE {} SET payload = $2 WHERE id = $1", lease.source.table());
        tx.execute_raw(self.sql(&sql, [lease.id.into(), payload.to_string().into()])).await?;
        tx.commit().await
    }

    /// Puts off everything of a kind that is due: what they all need is not there.
    pub async fn hold_back(&self, kind: TaskKind, wait: Duration) -> Result<u64, StoreError> {
        let now = self.now();
        let tx = self.begin(Lane::Work).await?;
        let sql = "UPDATE tasks SET due_at = $3 WHERE kind = $1 AND due_at <= $2 AND status IN ('queued', 'failed')";
        let later = now + i64::try_from(wait.as_micros()).unwrap_or(0);
        let values: [Value; 3] = [kind.as_str().into(), now.into(), later.into()];
        let held = tx.execute_raw(self.sql(sql, values)).await?.rows_affected();
        tx.commit().await?;
        Ok(held)
    }

    /// How long until what they all need is looked for again, if work of a kind is put off for want of it.
    pub async fn held_back_for(&self, kind: TaskKind) -> Result<Option<Duration>, StoreError> {
        let now = self.now();
        let sql = "SELECT MIN(due_at) AS due_at FROM tasks WHERE kind = $1 AND due_at > $2 \
                   AND (status = 'queued' OR (status = 'failed' AND parked_since IS NOT NULL))";
        let row = self.read().query_one_raw(self.sql(sql, [kind.as_str().into(), now.into()])).await?;
        let due: Option<i64> = row.map(|row| row.try_get("", "due_at")).transpose()?.flatten();
        Ok(due.map(|due| Duration::from_micros(u64::try_from(due - now).unwrap_or(0))))
    }

    /// Whether a task was asked for once more while it ran; if so it waits again, as if it were new.
    pub(super) async fn runs_again(&self, tx: &WriteTx, lease: Lease) -> Result<bool, StoreError> {
        if lease.source != Source::Task {
            return Ok(false);
        }
        let sql = "UPDATE tasks SET status = 'queued', attempts = 0, due_at = $2, parked_since = NULL, again = $3, \
                   last_error = NULL WHERE id = $1 AND again AND fence = $4 AND status = 'running'";
        let values: [Value; 4] = [lease.id.into(), self.now().into(), false.into(), lease.fence.into()];
        Ok(tx.execute_raw(self.sql(sql, values)).await?.rows_affected() > 0)
    }
}

const SELECT: &str = "SELECT id, status, finished_at, outcome, last_error FROM tasks";

fn row(row: &QueryResult) -> Result<TaskRow, StoreError> {
    let status: String = row.try_get("", "status")?;
    Ok(TaskRow {
        id: TaskId(row.try_get("", "id")?),
        status: Status::parse(&status).ok_or_else(|| StoreError::Corrupt(format!("task status {status:?}")))?,
        finished_at: row.try_get::<Option<i64>>("", "finished_at")?.map(time),
        outcome: row.try_get("", "outcome")?,
        error: row.try_get("", "last_error")?,
    })
}
