//! The rows of webhook deliveries: what lists show, and what an operator may do to one.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    Select, Value,
};

use super::{
    Lane, Page, Store, StoreError,
    intake::Packed,
    micros, time,
    work::{Lease, Source, readable},
};
use crate::domain::{CommitSha, DeliveryId, InstallationId, PrNumber, RepoId};

pub(super) mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "deliveries")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub installation_id: i64,
        pub guid: String,
        pub event: String,
        pub action: Option<String>,
        pub repo_id: Option<i64>,
        pub repo: Option<String>,
        pub pr_number: Option<i64>,
        pub head_sha: Option<String>,
        pub event_at: Option<i64>,
        pub reviews: bool,
        pub status: String,
        pub attempts: i64,
        pub fence: i64,
        pub due_at: Option<i64>,
        pub parked_since: Option<i64>,
        pub received_at: i64,
        pub finished_at: Option<i64>,
        pub outcome: Option<String>,
        pub last_error: Option<String>,
        pub headers: String,
        pub payload: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Waiting for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// Done.
    Completed,
    /// Stored, but nothing to do.
    Ignored,
    /// A newer delivery made it pointless.
    Superseded,
    /// Will be tried again at its due time.
    Failed,
    /// Given up.
    Dead,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Completed, Self::Ignored, Self::Superseded, Self::Failed, Self::Dead];

    /// The word in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Ignored => "ignored",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Dead => "dead",
        }
    }

    /// Reads [`Status::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A delivery as lists show it.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    /// Our id.
    pub id: DeliveryId,
    /// Whose.
    pub installation: InstallationId,
    /// GitHub's id of the event.
    pub guid: String,
    /// Repository, as the payload spelled it.
    pub repo: Option<String>,
    /// GitHub's id of the repository.
    pub repo_id: Option<i64>,
    /// `X-GitHub-Event`.
    pub event: String,
    /// `action`.
    pub action: Option<String>,
    /// Pull request (or issue) number.
    pub pr_number: Option<i64>,
    /// Where it stands.
    pub status: Status,
    /// Attempts that count.
    pub attempts: i64,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// When it was finished.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it will be tried (queued or failed only).
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// One try.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// From 1.
    pub number: i64,
    /// Began.
    pub started_at: DateTime<Utc>,
    /// Ended; none while running.
    pub finished_at: Option<DateTime<Utc>>,
    /// `completed`, `superseded`, `failed`, `parked`, `handed_back`, `lost`; none while running.
    pub result: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Something a delivery did on GitHub.
#[derive(Debug, Clone)]
pub struct Effect {
    /// `review`.
    pub kind: String,
    /// GitHub's id.
    pub github_id: Option<i64>,
    /// Page for people.
    pub url: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A delivery with everything known of it.
#[derive(Debug, Clone)]
pub struct DeliveryDetail {
    /// The row.
    pub row: DeliveryRow,
    /// The headers that were kept, a JSON object.
    pub headers: serde_json::Value,
    /// The JSON, as received.
    pub payload: Packed,
    /// Tries, oldest first.
    pub attempts: Vec<Attempt>,
    /// What it did.
    pub effects: Vec<Effect>,
}

/// Which deliveries to list. Empty fields do not filter.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only these installations; none: all (the operator's view).
    pub installations: Option<Vec<InstallationId>>,
    /// Repository name, any case.
    pub repo: Option<String>,
    /// Status.
    pub status: Option<Status>,
    /// Event name.
    pub event: Option<String>,
    /// Delivery GUID.
    pub guid: Option<String>,
    /// Pull request number.
    pub pr: Option<i64>,
}

/// What became of a request to run a delivery again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivered {
    /// Queued, attempts from 0.
    Queued,
    /// It waits or runs already.
    Busy,
    /// No such delivery.
    Unknown,
}

/// What puts a row back to the start: queued, due now, attempts from 0.
pub(super) const REQUEUE: &str = "UPDATE deliveries SET status = 'queued', attempts = 0, due_at = $2, parked_since = NULL, \
                       finished_at = NULL, outcome = NULL WHERE id = $1";

/// Deliveries of a pull request that ask for a review and wait. By status rather than by `due_at`: else PostgreSQL, which
/// has seen the queue empty, looks through all that waits instead of all of this pull request.
const WAITING: &str = "SELECT 1 AS one FROM deliveries WHERE repo_id = $1 AND pr_number = $2 AND reviews \
                       AND status IN ('queued', 'running', 'failed')";

/// How long what GitHub said may be ahead of its API, in microseconds: ten minutes.
const LATELY: i64 = 10 * 60 * 1_000_000;

/// The delivery a lease is of; 0, which none is, if it is of a task.
fn delivery_of(lease: Lease) -> i64 {
    if lease.source == Source::Delivery { lease.id } else { 0 }
}

impl Store {
    /// One page, newest first. `before` is the cursor of the previous page.
    pub async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        limit: usize,
        before: Option<i64>,
    ) -> Result<Page<DeliveryRow>, StoreError> {
        use entity::Column;
        let mut query = listed().order_by_desc(Column::Id);
        if let Some(installations) = &filter.installations {
            query = query.filter(Column::InstallationId.is_in(installations.iter().map(|id| id.0)));
        }
        if let Some(repo) = &filter.repo {
            query = query.filter(super::lower(Column::Repo).eq(repo.to_lowercase()));
        }
        if let Some(status) = filter.status {
            query = query.filter(Column::Status.eq(status.as_str()));
        }
        if let Some(event) = &filter.event {
            query = query.filter(Column::Event.eq(event));
        }
        if let Some(guid) = &filter.guid {
            query = query.filter(self.has_guid(&guid.to_lowercase()));
        }
        if let Some(number) = filter.pr {
            query = query.filter(Column::PrNumber.eq(number));
        }
        if let Some(before) = before {
            query = query.filter(Column::Id.lt(before));
        }
        let rows = query.limit(limit as u64 + 1).into_model::<Listed>().all(self.read()).await?;
        let rows = rows.into_iter().map(DeliveryRow::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(rows, limit, |row| row.id.0))
    }

    /// One delivery.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        use entity::Column;
        let Some(row) = listed().filter(Column::Id.eq(id.0)).into_model::<Listed>().one(self.read()).await? else {
            return Ok(None);
        };
        let stored: Option<(String, Vec<u8>)> = entity::Entity::find_by_id(id.0)
            .select_only()
            .columns([Column::Headers, Column::Payload])
            .into_tuple()
            .one(self.read())
            .await?;
        // Retention may have taken it between the two reads.
        let Some((headers, payload)) = stored else { return Ok(None) };
        Ok(Some(DeliveryDetail {
            row: row.try_into()?,
            headers: readable(&headers),
            payload: Packed::new(payload),
            attempts: self.attempts(id).await?,
            effects: self.effects_of(id).await?,
        }))
    }

    /// Whether a delivery that GitHub stamped later, and that asks for a review of another head, waits for the same pull
    /// request: then the one at hand is pointless.
    pub async fn newer_review_waits(
        &self,
        repo: RepoId,
        number: PrNumber,
        event_at: chrono::DateTime<chrono::Utc>,
        head: &CommitSha,
    ) -> Result<bool, StoreError> {
        let sql = format!("{WAITING} AND event_at > $3 AND head_sha <> $4 LIMIT 1");
        let values: [Value; 4] = [repo.0.into(), number.0.into(), micros(event_at).into(), head.0.clone().into()];
        Ok(self.read().query_one_raw(self.sql(&sql, values)).await?.is_some())
    }

    /// What GitHub said last, within ten minutes and by its own stamps after `at`, of whether this pull request is open and no
    /// draft: `closed`, `converted_to_draft`, `reopened` or `ready_for_review`, if anything. Its API catches up long before,
    /// and then knows better.
    pub async fn last_turn(
        &self,
        repo: RepoId,
        number: PrNumber,
        at: chrono::DateTime<chrono::Utc>,
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT action FROM deliveries WHERE repo_id = $1 AND pr_number = $2 AND event = 'pull_request' \
                   AND action IN ('closed', 'converted_to_draft', 'reopened', 'ready_for_review') AND event_at > $3 \
                   AND received_at > $4 AND status <> 'ignored' ORDER BY event_at DESC, id DESC LIMIT 1";
        let values: [Value; 4] = [repo.0.into(), number.0.into(), micros(at).into(), (self.now() - LATELY).into()];
        let row = self.read().query_one_raw(self.sql(sql, values)).await?;
        Ok(row.map(|row| row.try_get("", "action")).transpose()?)
    }

    /// Whether a delivery about exactly this head still waits for a worker.
    pub async fn review_of_head_waits(
        &self,
        repo: RepoId,
        number: PrNumber,
        head: &CommitSha,
        but: Lease,
    ) -> Result<bool, StoreError> {
        let sql = format!("{WAITING} AND head_sha = $3 AND id <> $4 LIMIT 1");
        let values: [Value; 4] = [repo.0.into(), number.0.into(), head.0.clone().into(), delivery_of(but).into()];
        Ok(self.read().query_one_raw(self.sql(&sql, values)).await?.is_some())
    }

    /// Whether this head was heard of after `than` arrived.
    pub async fn heard_later(
        &self,
        repo: RepoId,
        number: PrNumber,
        head: &CommitSha,
        than: Lease,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS one FROM deliveries WHERE repo_id = $1 AND pr_number = $2 AND head_sha = $3 AND id > $4 \
                   LIMIT 1";
        let values: [Value; 4] = [repo.0.into(), number.0.into(), head.0.clone().into(), delivery_of(than).into()];
        Ok(self.read().query_one_raw(self.sql(sql, values)).await?.is_some())
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let sql = "SELECT number, started_at, finished_at, result, error FROM attempts \
                   WHERE source = 'delivery' AND work_id = $1 ORDER BY number";
        let rows = self.read().query_all_raw(self.sql(sql, [id.0.into()])).await?;
        rows.iter()
            .map(|row| {
                Ok(Attempt {
                    number: row.try_get("", "number")?,
                    started_at: time(row.try_get("", "started_at")?),
                    finished_at: row.try_get::<Option<i64>>("", "finished_at")?.map(time),
                    result: row.try_get("", "result")?,
                    error: row.try_get("", "error")?,
                })
            })
            .collect()
    }

    /// Queues a finished, failed or dead delivery again.
    pub async fn redeliver(&self, id: DeliveryId) -> Result<Redelivered, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = format!("{REQUEUE} AND status NOT IN ('queued', 'running')");
        let queued = tx.execute_raw(self.sql(&sql, [id.0.into(), self.now().into()])).await?.rows_affected();
        tx.commit().await?;
        if queued > 0 {
            return Ok(Redelivered::Queued);
        }
        let known =
            self.read().query_one_raw(self.sql("SELECT id FROM deliveries WHERE id = $1", [id.0.into()])).await?;
        Ok(if known.is_some() { Redelivered::Busy } else { Redelivered::Unknown })
    }
}

/// The columns of [`DeliveryRow`]: everything but headers and payload.
#[derive(FromQueryResult)]
struct Listed {
    id: i64,
    installation_id: i64,
    guid: String,
    repo: Option<String>,
    repo_id: Option<i64>,
    event: String,
    action: Option<String>,
    pr_number: Option<i64>,
    status: String,
    attempts: i64,
    due_at: Option<i64>,
    received_at: i64,
    finished_at: Option<i64>,
    outcome: Option<String>,
    last_error: Option<String>,
}

fn listed() -> Select<entity::Entity> {
    use entity::Column::*;
    entity::Entity::find().select_only().columns([
        Id,
        InstallationId,
        Guid,
        Repo,
        RepoId,
        Event,
        Action,
        PrNumber,
        Status,
        Attempts,
        DueAt,
        ReceivedAt,
        FinishedAt,
        Outcome,
        LastError,
    ])
}

impl TryFrom<Listed> for DeliveryRow {
    type Error = StoreError;

    fn try_from(row: Listed) -> Result<Self, StoreError> {
        let status = Status::parse(&row.status)
            .ok_or_else(|| StoreError::Corrupt(format!("delivery status {:?}", row.status)))?;
        let waits = matches!(status, Status::Queued | Status::Failed);
        Ok(Self {
            id: DeliveryId(row.id),
            installation: InstallationId(row.installation_id),
            guid: row.guid,
            repo: row.repo,
            repo_id: row.repo_id,
            event: row.event,
            action: row.action,
            pr_number: row.pr_number,
            status,
            attempts: row.attempts,
            received_at: time(row.received_at),
            finished_at: row.finished_at.map(time),
            next_attempt_at: row.due_at.filter(|_| waits).map(time),
            outcome: row.outcome,
            last_error: row.last_error,
        })
    }
}
