//! Deliveries that GitHub sent, by its own record, and that never came to be on disk here.
//!
//! A row is the promise to see about a delivery: it stays until the delivery is in the inbox or GitHub has forgotten it.
//! Nothing is written here for deliveries that arrived.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Value};

use super::{Lane, Store, StoreError, micros, time};
use crate::domain::{Guid, InstallationId};

/// Times GitHub is asked for one delivery before its pull request is looked at instead.
pub const ASKED_AT_MOST: i64 = 3;

/// Asked for again, and whatever pull request it was about has been looked at since.
const SEEN_TO: i64 = ASKED_AT_MOST + 1;

/// GUIDs in one question.
const AT_A_TIME: usize = 500;

/// A delivery that GitHub recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Names the event.
    pub guid: Guid,
    /// GitHub's id of one attempt to deliver it.
    pub github_id: i64,
    /// When that was.
    pub delivered_at: DateTime<Utc>,
}

impl Store {
    /// Those of `recorded` that are not in the installation's inbox, in the same order.
    pub async fn not_received(
        &self,
        id: InstallationId,
        mut recorded: Vec<Recorded>,
    ) -> Result<Vec<Recorded>, StoreError> {
        let mut known = BTreeSet::new();
        for chunk in recorded.chunks(AT_A_TIME) {
            let guids: Vec<_> = (2..chunk.len() + 2).map(|n| format!("${n}")).collect();
            let one_of = self.one_of(&guids);
            let sql = format!("SELECT guid FROM deliveries WHERE installation_id = $1 AND {one_of}");
            let values = std::iter::once(Value::from(id.0));
            let values = values.chain(chunk.iter().map(|recorded| recorded.guid.as_str().into()));
            for row in self.read().query_all_raw(self.sql(&sql, values)).await? {
                known.insert(row.try_get::<String>("", "guid")?);
            }
        }
        recorded.retain(|recorded| !known.contains(recorded.guid.as_str()));
        Ok(recorded)
    }

    /// GitHub's record has been gone through up to `until`, and these were found missing. What has arrived meanwhile, or
    /// is older than `forgotten`, is missed no longer.
    pub async fn note_missed(
        &self,
        id: InstallationId,
        missed: &[Recorded],
        until: DateTime<Utc>,
        forgotten: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = "INSERT INTO missed (installation_id, guid, github_id, delivered_at, asked) \
                   VALUES ($1, $2, $3, $4, 0) ON CONFLICT (installation_id, guid) DO NOTHING";
        for missed in missed {
            let values: [Value; 4] =
                [id.0.into(), missed.guid.as_str().into(), missed.github_id.into(), micros(missed.delivered_at).into()];
            tx.execute_raw(self.sql(sql, values)).await?;
        }
        let arrived = self.arrived();
        let sql = format!("DELETE FROM missed AS m WHERE installation_id = $1 AND (delivered_at < $2 OR {arrived})");
        tx.execute_raw(self.sql(&sql, [id.0.into(), micros(forgotten).into()])).await?;
        let sql = "UPDATE installations SET record_until = $2 WHERE id = $1";
        tx.execute_raw(self.sql(sql, [id.0.into(), micros(until).into()])).await?;
        tx.commit().await
    }

    /// What GitHub is to be asked for again, latest first: still missing, not asked for since `before`, and not too often.
    pub async fn to_ask_for(
        &self,
        id: InstallationId,
        before: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<Recorded>, StoreError> {
        let arrived = self.arrived();
        let sql = format!(
            "SELECT guid, github_id, delivered_at FROM missed m WHERE installation_id = $1 AND asked < {ASKED_AT_MOST} \
             AND (asked_at IS NULL OR asked_at <= $2) AND NOT {arrived} ORDER BY delivered_at DESC, github_id DESC LIMIT $3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values: [Value; 3] = [id.0.into(), micros(before).into(), limit.into()];
        let rows = self.read().query_all_raw(self.sql(&sql, values)).await?;
        rows.iter()
            .map(|row| {
                let guid: String = row.try_get("", "guid")?;
                Ok(Recorded {
                    guid: Guid::parse(&guid).ok_or_else(|| StoreError::Corrupt(format!("GUID {guid:?}")))?,
                    github_id: row.try_get("", "github_id")?,
                    delivered_at: time(row.try_get("", "delivered_at")?),
                })
            })
            .collect()
    }

    /// GitHub is about to be asked for this one.
    pub async fn asked_for(&self, id: InstallationId, guid: &Guid) -> Result<(), StoreError> {
        self.set_asked(id, guid, "asked = asked + 1, asked_at = $3").await
    }

    /// GitHub was not asked after all.
    pub async fn not_asked_for(&self, id: InstallationId, guid: &Guid) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = "UPDATE missed SET asked = asked - 1, asked_at = NULL WHERE installation_id = $1 AND guid = $2";
        tx.execute_raw(self.sql(sql, [id.0.into(), guid.as_str().into()])).await?;
        tx.commit().await
    }

    /// GitHub cannot deliver this one again.
    pub async fn lost_for_good(&self, id: InstallationId, guid: &Guid) -> Result<(), StoreError> {
        self.set_asked(id, guid, &format!("asked = {ASKED_AT_MOST}, asked_at = $3")).await
    }

    async fn set_asked(&self, id: InstallationId, guid: &Guid, set: &str) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = format!("UPDATE missed SET {set} WHERE installation_id = $1 AND guid = $2");
        let values: [Value; 3] = [id.0.into(), guid.as_str().into(), self.now().into()];
        tx.execute_raw(self.sql(&sql, values)).await?;
        tx.commit().await
    }

    /// Whether GitHub has been asked for something that has not come, or is still to be.
    pub async fn waits_for_missed(&self, id: InstallationId) -> Result<bool, StoreError> {
        let arrived = self.arrived();
        let sql = format!(
            "SELECT 1 AS one FROM missed m WHERE installation_id = $1 AND asked <= {ASKED_AT_MOST} AND NOT {arrived} LIMIT 1"
        );
        Ok(self.read().query_one_raw(self.sql(&sql, [id.0.into()])).await?.is_some())
    }

    /// The time of the oldest delivery that GitHub was asked for in vain, if any: nothing has been done about it yet.
    pub async fn asked_in_vain(
        &self,
        id: InstallationId,
        before: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let arrived = self.arrived();
        let sql = format!(
            "SELECT MIN(delivered_at) AS oldest FROM missed m WHERE installation_id = $1 AND asked = {ASKED_AT_MOST} \
             AND asked_at <= $2 AND NOT {arrived}"
        );
        let row = self.read().query_one_raw(self.sql(&sql, [id.0.into(), micros(before).into()])).await?;
        Ok(row.map(|row| row.try_get::<Option<i64>>("", "oldest")).transpose()?.flatten().map(time))
    }

    /// The pull requests of what was asked for in vain until `before` have been looked at.
    pub async fn seen_to(&self, id: InstallationId, before: DateTime<Utc>) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = format!(
            "UPDATE missed SET asked = {SEEN_TO} WHERE installation_id = $1 AND asked = {ASKED_AT_MOST} \
             AND asked_at <= $2"
        );
        tx.execute_raw(self.sql(&sql, [id.0.into(), micros(before).into()])).await?;
        tx.commit().await
    }

    /// Forgets what GitHub has forgotten too, of connections that have ended as well.
    pub async fn prune_missed(&self, forgotten: DateTime<Utc>) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        tx.execute_raw(self.sql("DELETE FROM missed WHERE delivered_at < $1", [micros(forgotten).into()])).await?;
        tx.commit().await
    }
}
