//! Deliveries on their way to disk.
//!
//! The whole batch is one transaction: when [`Store::accept`] returns, everything it answered for has been flushed.

use std::collections::HashMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ConnectionTrait, EntityTrait, QueryTrait, Value,
    sea_query::{OnConflict, Query},
};

use super::{
    Lane, Store, StoreError, WriteTx,
    deliveries::{REQUEUE, Status, entity},
    micros,
    work::clean,
};
use crate::domain::{CommitSha, DeliveryId, Guid, InstallationId, PrNumber, RepoRef, event::IgnoreReason};

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
    /// The headers that are kept: `X-GitHub-*`, `Content-Type`, `User-Agent`, `traceparent`, as a JSON object.
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

/// How many malformed deliveries are kept per installation.
const REJECTED_KEPT: i64 = 100;

impl Store {
    /// Puts a batch of deliveries on disk in one transaction; the answers are in the order of the batch and hold once this
    /// returns. The same delivery may stand in the batch several times.
    pub async fn accept(&self, batch: &[NewDelivery]) -> Result<Vec<Accepted>, StoreError> {
        let now = self.now();
        let mut rows = Vec::with_capacity(batch.len());
        for delivery in batch {
            rows.push(row_of(delivery, now)?);
        }
        let tx = self.begin(Lane::Intake).await?;
        let mut insert = entity::Entity::insert_many(rows)
            .on_conflict(
                OnConflict::columns([entity::Column::InstallationId, entity::Column::Guid]).do_nothing().to_owned(),
            )
            .into_query();
        insert.returning(Query::returning().columns([
            entity::Column::Id,
            entity::Column::InstallationId,
            entity::Column::Guid,
        ]));
        let mut fresh = HashMap::new();
        for row in tx.query_all(&insert).await? {
            let key: (i64, String) = (row.try_get("", "installation_id")?, row.try_get("", "guid")?);
            fresh.insert(key, row.try_get::<i64>("", "id")?);
        }
        let mut answers = Vec::with_capacity(batch.len());
        for delivery in batch {
            let key = (delivery.installation.0, delivery.guid.as_str().to_owned());
            answers.push(match fresh.remove(&key) {
                Some(id) => Accepted::New(DeliveryId(id)),
                None => self.accept_again(&tx, delivery, now).await?,
            });
        }
        tx.commit().await?;
        Ok(answers)
    }

    /// Answers for a delivery whose row exists.
    async fn accept_again(&self, tx: &WriteTx, delivery: &NewDelivery, now: i64) -> Result<Accepted, StoreError> {
        let sql = "SELECT id, status FROM deliveries WHERE installation_id = $1 AND guid = $2";
        let values: [Value; 2] = [delivery.installation.0.into(), delivery.guid.as_str().into()];
        let row = tx
            .query_one_raw(self.sql(sql, values))
            .await?
            .ok_or_else(|| StoreError::Corrupt("a delivery is neither new nor known".into()))?;
        let id: i64 = row.try_get("", "id")?;
        let status: String = row.try_get("", "status")?;
        Ok(match Status::parse(&status) {
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
        })
    }

    /// Keeps a delivery that was signed but malformed, for the operator: the last 100 per installation.
    pub async fn keep_rejected(
        &self,
        installation: InstallationId,
        reason: &str,
        headers: &serde_json::Value,
        body: &[u8],
    ) -> Result<(), StoreError> {
        let packed = pack(body)?;
        let tx = self.begin(Lane::Intake).await?;
        let sql =
            "INSERT INTO rejected (installation_id, received_at, reason, headers, body) VALUES ($1, $2, $3, $4, $5)";
        let values: [Value; 5] =
            [installation.0.into(), self.now().into(), clean(reason).into(), headers.to_string().into(), packed.into()];
        tx.execute_raw(self.sql(sql, values)).await?;
        let sql = "DELETE FROM rejected WHERE installation_id = $1 AND id <= (SELECT id FROM rejected \
                   WHERE installation_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";
        tx.execute_raw(self.sql(sql, [installation.0.into(), REJECTED_KEPT.into()])).await?;
        tx.commit().await
    }
}

fn row_of(delivery: &NewDelivery, now: i64) -> Result<entity::ActiveModel, StoreError> {
    let done = delivery.ignored.is_some();
    Ok(entity::ActiveModel {
        id: NotSet,
        installation_id: Set(delivery.installation.0),
        guid: Set(delivery.guid.as_str().to_owned()),
        event: Set(clean(&delivery.event)),
        action: Set(delivery.action.as_deref().map(clean)),
        repo_id: Set(delivery.repo.as_ref().map(|repo| repo.id.0)),
        repo: Set(delivery.repo.as_ref().map(|repo| repo.name.to_string())),
        pr_number: Set(delivery.number.map(|number| number.0)),
        head_sha: Set(delivery.head.as_ref().map(|head| clean(&head.0))),
        event_at: Set(delivery.event_at.map(micros)),
        reviews: Set(delivery.reviews),
        status: Set(if done { Status::Ignored } else { Status::Queued }.as_str().to_owned()),
        attempts: Set(0),
        fence: Set(0),
        due_at: Set((!done).then_some(now)),
        parked_since: Set(None),
        received_at: Set(now),
        finished_at: Set(done.then_some(now)),
        outcome: Set(delivery.ignored.map(|reason| reason.code().to_owned())),
        last_error: Set(None),
        headers: Set(delivery.headers.to_string()),
        payload: Set(pack(&delivery.payload)?),
    })
}

/// Compresses a payload: a tenth of the bytes to write, which saves more time than it takes (24 KB: 15 us).
pub(crate) fn pack(payload: &[u8]) -> Result<Vec<u8>, StoreError> {
    zstd::bulk::compress(payload, 1).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Undoes [`pack`].
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>, StoreError> {
    zstd::stream::decode_all(packed).map_err(|error| StoreError::Corrupt(error.to_string()))
}
