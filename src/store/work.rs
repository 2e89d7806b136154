//! The claim engine: deliveries and tasks are leased to workers, one at a time per pull request.
//!
//! `due_at` is the whole schedule: when a worker may take the row. Now for what waits, later for what failed, the end
//! of the lease for what runs, NULL for what is finished. One partial index over it makes claiming as cheap with a
//! million finished rows as with none.
//!
//! Two guards make a worker that lost its lease harmless. The *fence*, counted up by every claim, must still be the
//! row's for a worker to write anything; and a row in `lanes` keeps everybody else away from its pull request.

use std::time::Duration;

use chrono::{DateTime, Utc};

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use super::{Lane, Store, StoreError, WriteTx, intake::Packed, time};
use crate::{
    domain::{DeliveryId, InstallationId, PrNumber, RepoId, RepoName, RepoRef, TaskId, retry::MAX_ATTEMPTS},
    telemetry::trace::KEPT,
};

/// How long a claim holds without a heartbeat.
pub const LEASE: Duration = Duration::from_secs(60);

/// Which table a piece of work lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A webhook POST.
    Delivery,
    /// Anything else that must survive a kill.
    Task,
}

impl Source {
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Delivery => "deliveries",
            Self::Task => "tasks",
        }
    }

    /// The word in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Task => "task",
        }
    }
}

/// The right to work on one row, for as long as the fence is the row's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Which table.
    pub source: Source,
    /// Which row.
    pub id: i64,
    /// Which claim of it; also the number of the attempt.
    pub fence: i64,
}

/// A piece of work, leased.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The right to work on it.
    pub lease: Lease,
    /// Attempts that count, this one included.
    pub attempts: i64,
    /// On whose behalf.
    pub installation: InstallationId,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// For how long the world has not been ready for it, so that it was parked.
    pub parked: Duration,
    /// The trace it was handed in with, if there was one.
    pub trace: Option<String>,
    /// What to do.
    pub work: Work,
}

/// What was claimed.
#[derive(Debug, Clone)]
pub enum Work {
    /// A delivery: what it means is in its payload.
    Delivery {
        /// Our id.
        id: DeliveryId,
        /// `X-GitHub-Event`.
        event: String,
        /// The repository, as the payload spelled it.
        repo: Option<String>,
        /// The pull request or issue.
        number: Option<PrNumber>,
        /// The JSON.
        payload: Packed,
    },
    /// A task.
    Task {
        /// Our id.
        id: TaskId,
        /// What to do.
        kind: String,
        /// The repository.
        repo: Option<RepoRef>,
        /// The pull request.
        number: Option<PrNumber>,
        /// Arguments.
        payload: serde_json::Value,
    },
}

/// How much longer than a pull request's work other work must have waited to go before it.
const YIELDS: Duration = Duration::from_secs(3600);

/// A row that could be claimed.
struct Candidate {
    source: Source,
    id: i64,
    due_at: i64,
    repo_id: Option<i64>,
    number: Option<i64>,
    running: bool,
    attempts: i64,
    fence: i64,
}

impl Candidate {
    /// Whose turn it is: the smallest.
    fn turn(&self) -> (i64, u8) {
        match (self.source, self.number) {
            (Source::Task, Some(_)) => (self.due_at, 0),
            (Source::Delivery, _) => (self.due_at, 1),
            // Nobody waits for the rest.
            (Source::Task, None) => (self.due_at.saturating_add(YIELDS.as_micros() as i64), 2),
        }
    }

    fn read(row: &QueryResult) -> Result<Self, StoreError> {
        let source: String = row.try_get("", "source")?;
        Ok(Self {
            source: if source == Source::Task.as_str() { Source::Task } else { Source::Delivery },
            id: row.try_get("", "id")?,
            due_at: row.try_get("", "due_at")?,
            repo_id: row.try_get("", "repo_id")?,
            number: row.try_get("", "pr_number")?,
            running: row.try_get::<String>("", "status")? == "running",
            attempts: row.try_get("", "attempts")?,
            fence: row.try_get("", "fence")?,
        })
    }
}

impl Store {
    /// Claims the work that has been due longest and whose pull request nobody works on. Work that is about no pull
    /// request (what is learned of a repository) lets others go first for an hour: a thousand repositories that are to be
    /// read anew do not stand in front of a review.
    pub async fn claim(&self) -> Result<Option<Claimed>, StoreError> {
        self.follow_clock().await?;
        loop {
            let tx = self.begin(Lane::Work).await?;
            let Some(candidate) = self.longest_due(&tx).await? else { return Ok(None) };
            if candidate.running {
                self.note_lost(&tx, &candidate).await?;
                if candidate.attempts >= i64::from(MAX_ATTEMPTS) {
                    let lost = Lease { source: candidate.source, id: candidate.id, fence: candidate.fence };
                    self.settle(&tx, lost, "dead", None, Some("the worker vanished")).await?;
                    tx.commit().await?;
                    continue;
                }
            }
            let lease = Lease { source: candidate.source, id: candidate.id, fence: candidate.fence + 1 };
            if !self.enter_lane(&tx, &candidate, lease).await? {
                // Another replica entered between our look and our insert.
                continue;
            }
            let claimed = self.take(&tx, lease).await?;
            tx.commit().await?;
            return Ok(Some(claimed));
        }
    }

    async fn longest_due(&self, tx: &WriteTx) -> Result<Option<Candidate>, StoreError> {
        let rows = tx.query_all_raw(self.sql(&self.due_sql(), [self.now().into()])).await?;
        let due = rows.iter().map(Candidate::read).collect::<Result<Vec<_>, _>>()?;
        Ok(due.into_iter().min_by_key(Candidate::turn))
    }

    /// What every claim asks: the work that has been due longest, of each kind (tasks about a pull request, deliveries,
    /// other tasks). `$1` is the time. Public so that its plan can be looked at.
    ///
    /// The order is the index's and no finer: a database that has to sort reads everything that waits, for every claim.
    pub fn due_sql(&self) -> String {
        let lock = if self.backend() == DbBackend::Postgres { "FOR UPDATE OF w SKIP LOCKED" } else { "" };
        let longest = |source: Source, and: &str| {
            format!(
                "SELECT '{}' AS source, w.id, w.due_at, w.repo_id, w.pr_number, w.status, w.attempts, w.fence FROM {} w \
                 WHERE w.due_at <= $1 {and} AND NOT EXISTS (SELECT 1 FROM lanes l WHERE l.repo_id = w.repo_id \
                 AND l.pr_number = w.pr_number AND l.until > $1) ORDER BY w.due_at LIMIT 1 {lock}",
                source.as_str(),
                source.table()
            )
        };
        format!(
            "WITH asked AS ({}), sent AS ({}), others AS ({}) \
             SELECT * FROM asked UNION ALL SELECT * FROM sent UNION ALL SELECT * FROM others",
            longest(Source::Task, "AND w.pr_number IS NOT NULL"),
            longest(Source::Delivery, ""),
            longest(Source::Task, "AND w.pr_number IS NULL"),
        )
    }

    async fn note_lost(&self, tx: &WriteTx, candidate: &Candidate) -> Result<(), StoreError> {
        let lease = Lease { source: candidate.source, id: candidate.id, fence: candidate.fence };
        self.end_attempt(tx, lease, "lost", Some("the worker vanished")).await
    }

    async fn enter_lane(&self, tx: &WriteTx, candidate: &Candidate, lease: Lease) -> Result<bool, StoreError> {
        let (Some(repo), Some(number)) = (candidate.repo_id, candidate.number) else { return Ok(true) };
        let now = self.now();
        let sql = "INSERT INTO lanes (repo_id, pr_number, source, work_id, fence, until) \
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (repo_id, pr_number) DO UPDATE SET \
                   source = excluded.source, work_id = excluded.work_id, fence = excluded.fence, \
                   until = excluded.until WHERE lanes.until <= $7";
        let values: [Value; 7] = [
            repo.into(),
            number.into(),
            lease.source.as_str().into(),
            lease.id.into(),
            lease.fence.into(),
            (now + lease_micros()).into(),
            now.into(),
        ];
        Ok(tx.execute_raw(self.sql(sql, values)).await?.rows_affected() == 1)
    }

    async fn take(&self, tx: &WriteTx, lease: Lease) -> Result<Claimed, StoreError> {
        let now = self.now();
        // Who asked so far is served by this run.
        let (served, kind) = match lease.source {
            Source::Delivery => ("", "event AS kind, headers"),
            Source::Task => (", again = FALSE", "kind"),
        };
        let sql = format!(
            "UPDATE {} SET status = 'running', fence = $2, attempts = attempts + 1, due_at = $3{served} WHERE id = $1 \
             RETURNING {kind}, payload, attempts, installation_id, repo_id, repo, pr_number, received_at, \
             parked_since",
            lease.source.table()
        );
        let values: [Value; 3] = [lease.id.into(), lease.fence.into(), (now + lease_micros()).into()];
        let row = tx
            .query_one_raw(self.sql(&sql, values))
            .await?
            .ok_or_else(|| StoreError::Corrupt("a claimed row is gone".into()))?;
        let sql = "INSERT INTO attempts (source, work_id, number, started_at) VALUES ($1, $2, $3, $4)";
        let values: [Value; 4] = [lease.source.as_str().into(), lease.id.into(), lease.fence.into(), now.into()];
        tx.execute_raw(self.sql(sql, values)).await?;
        claimed(lease, now, &row)
    }

    pub(super) async fn end_attempt(
        &self,
        tx: &WriteTx,
        lease: Lease,
        result: &str,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE attempts SET finished_at = $4, result = $5, error = $6 \
                   WHERE source = $1 AND work_id = $2 AND number = $3 AND finished_at IS NULL";
        let values: [Value; 6] = [
            lease.source.as_str().into(),
            lease.id.into(),
            lease.fence.into(),
            self.now().into(),
            result.into(),
            error.map(clean).into(),
        ];
        tx.execute_raw(self.sql(sql, values)).await?;
        Ok(())
    }

    /// At start, when this process alone has the database: whatever still says `running` belongs to a process that died,
    /// so it is due at once.
    pub async fn reclaim(&self) -> Result<u64, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let mut reclaimed = 0;
        for source in [Source::Delivery, Source::Task] {
            let sql = format!("UPDATE {} SET due_at = $1 WHERE status = 'running'", source.table());
            reclaimed += tx.execute_raw(self.sql(&sql, [self.now().into()])).await?.rows_affected();
        }
        tx.execute_raw(self.sql("DELETE FROM lanes", [])).await?;
        tx.commit().await?;
        Ok(reclaimed)
    }

    pub(crate) fn sql<V: IntoIterator<Item = Value>>(&self, sql: &str, values: V) -> Statement {
        Statement::from_sql_and_values(self.backend(), sql, values)
    }
}

fn claimed(lease: Lease, now: i64, row: &QueryResult) -> Result<Claimed, StoreError> {
    let installation = InstallationId(row.try_get("", "installation_id")?);
    let attempts = row.try_get("", "attempts")?;
    let (work, trace) = match lease.source {
        Source::Delivery => {
            let mut headers = readable(&row.try_get::<String>("", "headers")?);
            let work = Work::Delivery {
                id: DeliveryId(lease.id),
                event: row.try_get("", "kind")?,
                repo: row.try_get("", "repo")?,
                number: row.try_get::<Option<i64>>("", "pr_number")?.map(PrNumber),
                payload: Packed::new(row.try_get("", "payload")?),
            };
            (work, take_trace(&mut headers))
        }
        Source::Task => {
            let repo_id: Option<i64> = row.try_get("", "repo_id")?;
            let name: Option<String> = row.try_get("", "repo")?;
            let mut payload = readable(&row.try_get::<String>("", "payload")?);
            let trace = take_trace(&mut payload);
            let work = Work::Task {
                id: TaskId(lease.id),
                kind: row.try_get("", "kind")?,
                repo: repo_id
                    .zip(name.as_deref().and_then(RepoName::parse))
                    .map(|(id, name)| RepoRef { id: RepoId(id), name }),
                number: row.try_get::<Option<i64>>("", "pr_number")?.map(PrNumber),
                payload,
            };
            (work, trace)
        }
    };
    let received_at = time(row.try_get("", "received_at")?);
    let since: Option<i64> = row.try_get("", "parked_since")?;
    let parked = Duration::from_micros(since.map_or(0, |since| u64::try_from(now - since).unwrap_or(0)));
    Ok(Claimed { lease, attempts, installation, received_at, parked, trace, work })
}

/// What is damaged is nothing: an error here would be one of every claim, for ever.
pub(super) fn readable(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::error!(%error, "what was kept with a piece of work is damaged");
        serde_json::Value::Null
    })
}

fn take_trace(kept: &mut serde_json::Value) -> Option<String> {
    kept.as_object_mut()?.remove(KEPT)?.as_str().map(str::to_owned)
}

pub(super) fn lease_micros() -> i64 {
    i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX)
}

/// Text as both databases take it: PostgreSQL refuses NUL. Bounded, as it may quote an upstream.
pub(crate) fn clean(text: &str) -> String {
    text.chars().take(2000).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::users::testing::Fixture;

    #[tokio::test]
    async fn claiming_reads_an_index_of_what_is_due_however_much_was_ever_stored() {
        let t = Fixture::new().await;
        let sql = format!("EXPLAIN QUERY PLAN {}", t.store.due_sql());
        let plan = t.store.read().query_all_raw(t.store.sql(&sql, [0_i64.into()])).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|step| step.try_get("", "detail").unwrap()).collect();
        let looks: Vec<&str> = plan.iter().filter(|step| step.contains(" w ")).map(String::as_str).collect();
        let index = |name| format!("SEARCH w USING INDEX {name} (due_at<?)");
        assert_eq!(looks, [index("tasks_due"), index("deliveries_due"), index("tasks_due")], "{plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
    }
}
