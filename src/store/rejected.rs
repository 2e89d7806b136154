//! Deliveries that were signed but malformed: the last 100 of each installation, for the operator.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::{Lane, Store, StoreError, time, work::clean};
use crate::{apart, domain::InstallationId};

/// How many are kept per installation.
const KEPT: i64 = 100;

/// A delivery that was refused although its signature was right.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Ours, of the delivery.
    pub id: i64,
    /// Whose secret signed it; [`InstallationId::OPERATOR`] for the fallback secret.
    pub installation: InstallationId,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// What is wrong with it.
    pub reason: String,
    /// The headers that are kept of any delivery.
    pub headers: serde_json::Value,
}

impl Store {
    /// Keeps one.
    pub async fn keep_rejected(
        &self,
        installation: InstallationId,
        reason: &str,
        headers: &serde_json::Value,
        body: Bytes,
    ) -> Result<(), StoreError> {
        // Without the dictionary: whoever looks into what was malformed has ordinary tools.
        let packed = apart::on(body.len(), move || zstd::bulk::compress(&body, 1)).await;
        let packed = packed.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let tx = self.begin(Lane::Intake).await?;
        let sql =
            "INSERT INTO rejected (installation_id, received_at, reason, headers, body) VALUES ($1, $2, $3, $4, $5)";
        let values: [Value; 5] =
            [installation.0.into(), self.now().into(), clean(reason).into(), headers.to_string().into(), packed.into()];
        tx.execute_raw(self.sql(sql, values)).await?;
        let sql = "DELETE FROM rejected WHERE installation_id = $1 AND id <= (SELECT id FROM rejected \
                   WHERE installation_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";
        tx.execute_raw(self.sql(sql, [installation.0.into(), KEPT.into()])).await?;
        tx.commit().await
    }

    /// The newest, at most so many.
    pub async fn rejected(&self, limit: usize) -> Result<Vec<Rejected>, StoreError> {
        let sql = "SELECT id, installation_id, received_at, reason, headers FROM rejected ORDER BY id DESC LIMIT $1";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read().query_all_raw(self.sql(sql, [limit.into()])).await?;
        rows.iter().map(rejected).collect()
    }

    /// The body of one, as it was received.
    pub async fn rejected_body(&self, id: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT body FROM rejected WHERE id = $1";
        let Some(row) = self.read().query_one_raw(self.sql(sql, [id.into()])).await? else { return Ok(None) };
        let packed: Vec<u8> = row.try_get("", "body")?;
        let body = zstd::stream::decode_all(packed.as_slice());
        body.map(Some).map_err(|error| StoreError::Corrupt(error.to_string()))
    }
}

fn rejected(row: &QueryResult) -> Result<Rejected, StoreError> {
    let headers: String = row.try_get("", "headers")?;
    Ok(Rejected {
        id: row.try_get("", "id")?,
        installation: InstallationId(row.try_get("", "installation_id")?),
        received_at: time(row.try_get("", "received_at")?),
        reason: row.try_get("", "reason")?,
        headers: serde_json::from_str(&headers).map_err(|error| DbErr::Json(error.to_string()))?,
    })
}
