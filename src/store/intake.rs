//! Deliveries on their way to disk.
//!
//! A group is one transaction and one flush, on a connection that does nothing else: when [`Store::accept`] returns,
//! everything it answered for is on disk. Nothing is ever left half written, not even by a caller who stops waiting: on
//! PostgreSQL the transaction is a single statement, and on SQLite nothing interrupts it.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Lane, Store, StoreError, WriteTx,
    deliveries::{REQUEUE, Status},
    micros,
    work::clean,
};
use crate::domain::{CommitSha, DeliveryId, Guid, InstallationId, PrNumber, RepoRef, event::IgnoreReason};

mod guids;
mod pack;
mod postgres;
mod sqlite;

pub use pack::Packed;
use pack::pack;

/// A delivery that proved itself, ready to be put on disk.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Whose connection verified it; [`InstallationId::OPERATOR`] for the fallback secret.
    pub installation: InstallationId,
    /// `X-GitHub-Delivery`.
    pub guid: Guid,
    /// `X-GitHub-Event`.
    pub event: String,
    /// `action`.
    pub action: Option<String>,
    /// Repository.
    pub repo: Option<RepoRef>,
    /// Pull request (or issue) number.
    pub number: Option<PrNumber>,
    /// Head commit of the pull request.
    pub head: Option<CommitSha>,
    /// `pull_request.updated_at`.
    pub event_at: Option<DateTime<Utc>>,
    /// Whether it asks for a review (and so may be superseded by a newer one that does).
    pub reviews: bool,
    /// Why nobody will act on it: stored finished.
    pub ignored: Option<IgnoreReason>,
    /// The headers that are kept: `X-GitHub-*`, `Content-Type`, `User-Agent`, `traceparent`, as a JSON object; and under
    /// [`KEPT`](crate::telemetry::trace::KEPT) the trace it was received in, if there is one.
    pub headers: serde_json::Value,
    /// The JSON, raw.
    pub payload: Bytes,
}

/// What became of a delivery. All of these are said after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// New, on disk, waiting for a worker (or stored finished, if it was `ignored`). 202 (200 if ignored).
    New(DeliveryId),
    /// Was dead; queued again with attempts from 0. 202.
    Requeued(DeliveryId),
    /// Known. Had it failed, it is tried now; otherwise nothing changed. 200.
    Duplicate(DeliveryId),
}

/// What became of a row.
enum Inserted {
    /// It was inserted.
    New(DeliveryId),
    /// It is there already: this one, where that was seen.
    Known(Option<DeliveryId>),
}

/// A delivery whose row exists: this one, where that was seen.
struct Known {
    id: Option<DeliveryId>,
    installation: i64,
    guid: String,
    received_at: i64,
}

/// Deliveries in one transaction, at most.
pub const GROUP: usize = 256;

/// The connections that only deliveries are written through, opened when the first arrives.
#[derive(Default)]
pub(super) struct Lines {
    sqlite: tokio::sync::Mutex<sqlite::Line>,
    postgres: tokio::sync::Mutex<postgres::Line>,
}

impl Store {
    /// Makes a delivery ready to be put on disk.
    pub fn prepare(&self, delivery: NewDelivery) -> Result<Prepared, StoreError> {
        Prepared::of(delivery, self.now())
    }

    /// Prepares a batch of deliveries and puts it on disk, as [`Store::accept_prepared`].
    pub async fn accept(&self, batch: &[NewDelivery]) -> Result<Vec<Accepted>, StoreError> {
        let prepared = batch.iter().map(|delivery| self.prepare(delivery.clone())).collect::<Result<Vec<_>, _>>()?;
        self.accept_prepared(prepared).await
    }

    /// Puts a batch of deliveries on disk; the answers are in the order of the batch and hold once this returns. The same
    /// delivery may stand in the batch several times. After an error some of the batch may be on disk nevertheless. On SQLite
    /// the thread is kept meanwhile.
    pub async fn accept_prepared(&self, mut rows: Vec<Prepared>) -> Result<Vec<Accepted>, StoreError> {
        for row in &mut rows {
            row.pack()?;
        }
        let mut answers = vec![None; rows.len()];
        let mut open: Vec<_> = rows.iter().zip(&mut answers).collect();
        // A delivery that is known may be pruned before it is looked up, and is then new after all.
        for _ in 0..3 {
            let mut known = Vec::new();
            for group in open.chunks_mut(GROUP) {
                let rows: Vec<_> = group.iter().map(|(row, _)| *row).collect();
                let inserted = match self.backend() {
                    DbBackend::Postgres => self.insert_postgres(&rows).await?,
                    _ => self.insert_sqlite(&rows).await?,
                };
                for ((_, answer), inserted) in group.iter_mut().zip(inserted) {
                    match inserted {
                        Inserted::New(id) => **answer = Some(Accepted::New(id)),
                        Inserted::Known(id) => known.push(id),
                    }
                }
            }
            open.retain(|(_, answer)| answer.is_none());
            if open.is_empty() {
                break;
            }
            let known = open.iter().zip(known).map(|((row, _), id)| row.known(id)).collect();
            for ((_, answer), again) in open.iter_mut().zip(self.accept_again(known).await?) {
                **answer = again;
            }
            open.retain(|(_, answer)| answer.is_none());
        }
        let answers: Option<Vec<_>> = answers.into_iter().collect();
        answers.ok_or_else(|| StoreError::Corrupt("a delivery is neither new nor known".into()))
    }

    /// Takes into the index what storing deliveries put off, or some of it; for when there is time. Whether all is done.
    pub async fn index_deliveries(&self) -> Result<bool, StoreError> {
        match self.backend() {
            DbBackend::Postgres => Ok(true),
            _ => self.index_sqlite().await,
        }
    }

    /// Answers for deliveries whose rows exist; nothing for one whose row does not.
    async fn accept_again(&self, known: Vec<Known>) -> Result<Vec<Option<Accepted>>, StoreError> {
        let store = self.clone();
        let answering = AbortOnDropHandle::new(self.inner.runtime.spawn(async move {
            let tx = store.begin(Lane::Intake).await?;
            let mut answers = Vec::with_capacity(known.len());
            for delivery in &known {
                answers.push(store.accept_known(&tx, delivery).await?);
            }
            tx.commit().await?;
            Ok(answers)
        }));
        answering.await.map_err(|gone| DbErr::Custom(gone.to_string()))?
    }

    async fn accept_known(&self, tx: &WriteTx, delivery: &Known) -> Result<Option<Accepted>, StoreError> {
        let now = delivery.received_at;
        let lock = self.locking();
        let select = match delivery.id {
            Some(id) => self.sql("SELECT id, status FROM deliveries WHERE id = $1", [id.0.into()]),
            None => {
                let sql = format!("SELECT id, status FROM deliveries WHERE installation_id = $1 AND guid = $2 {lock}");
                self.sql(&sql, [delivery.installation.into(), delivery.guid.as_str().into()])
            }
        };
        let Some(known) = tx.query_one_raw(select).await? else { return Ok(None) };
        let id: i64 = known.try_get("", "id")?;
        let status: String = known.try_get("", "status")?;
        Ok(Some(match Status::parse(&status) {
            Some(Status::Dead) => {
                tx.execute_raw(self.sql(REQUEUE, [id.into(), now.into()])).await?;
                Accepted::Requeued(DeliveryId(id))
            }
            Some(Status::Failed) => {
                let sql = "UPDATE deliveries SET due_at = $2 WHERE id = $1";
                tx.execute_raw(self.sql(sql, [id.into(), now.into()])).await?;
                Accepted::Duplicate(DeliveryId(id))
            }
            _ => Accepted::Duplicate(DeliveryId(id)),
        }))
    }
}

/// Payloads up to this size, in bytes, are compressed where a group is written: each takes about 10 us, and the fewer
/// interruptions are worth more. What is larger would hold up all others.
const SMALL: usize = 64 * 1024;

/// What [`Prepared`] fills, in its order.
const COLUMNS: [&str; 17] = [
    "installation_id",
    "guid",
    "event",
    "action",
    "repo_id",
    "repo",
    "pr_number",
    "head_sha",
    "event_at",
    "reviews",
    "status",
    "due_at",
    "received_at",
    "finished_at",
    "outcome",
    "headers",
    "payload",
];

/// A new delivery as its row is written.
#[derive(Debug)]
pub struct Prepared {
    installation: i64,
    guid: String,
    event: String,
    action: Option<String>,
    repo_id: Option<i64>,
    repo: Option<String>,
    number: Option<i64>,
    head: Option<String>,
    event_at: Option<i64>,
    reviews: bool,
    status: &'static str,
    due_at: Option<i64>,
    received_at: i64,
    finished_at: Option<i64>,
    outcome: Option<&'static str>,
    headers: String,
    payload: Payload,
}

#[derive(Debug)]
enum Payload {
    Raw(Bytes),
    Packed(Vec<u8>),
}

impl Prepared {
    fn of(delivery: NewDelivery, now: i64) -> Result<Self, StoreError> {
        let done = delivery.ignored.is_some();
        Ok(Self {
            installation: delivery.installation.0,
            guid: delivery.guid.as_str().to_owned(),
            event: clean(&delivery.event),
            action: delivery.action.as_deref().map(clean),
            repo_id: delivery.repo.as_ref().map(|repo| repo.id.0),
            repo: delivery.repo.as_ref().map(|repo| repo.name.to_string()),
            number: delivery.number.map(|number| number.0),
            head: delivery.head.as_ref().map(|head| clean(&head.0)),
            event_at: delivery.event_at.map(micros),
            reviews: delivery.reviews,
            status: if done { Status::Ignored } else { Status::Queued }.as_str(),
            due_at: (!done).then_some(now),
            received_at: now,
            finished_at: done.then_some(now),
            outcome: delivery.ignored.map(|reason| reason.code()),
            headers: delivery.headers.to_string(),
            payload: match delivery.payload {
                small if small.len() <= SMALL => Payload::Raw(small),
                large => Payload::Packed(pack(&large)?),
            },
        })
    }

    fn pack(&mut self) -> Result<(), StoreError> {
        if let Payload::Raw(raw) = &self.payload {
            self.payload = Payload::Packed(pack(raw)?);
        }
        Ok(())
    }

    /// As it is written.
    fn payload(&self) -> &[u8] {
        match &self.payload {
            Payload::Raw(payload) => payload,
            Payload::Packed(payload) => payload,
        }
    }

    /// When it is due, if at all: now, even if it is written after the clock was set back.
    fn due_by(&self, now: i64) -> Option<i64> {
        self.due_at.map(|due_at| due_at.min(now))
    }

    fn known(&self, id: Option<DeliveryId>) -> Known {
        Known { id, installation: self.installation, guid: self.guid.clone(), received_at: self.received_at }
    }

    /// How large its payload is now, in bytes.
    pub fn size(&self) -> usize {
        self.payload().len()
    }
}

fn failed(error: sqlx::Error) -> StoreError {
    DbErr::Exec(RuntimeErr::SqlxError(std::sync::Arc::new(error))).into()
}

#[cfg(test)]
mod tests;
