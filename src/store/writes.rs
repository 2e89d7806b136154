//! How many writes GitHub has had from all replicas lately.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Value};

use super::{Lane, Store, StoreError};

/// Any number nobody else uses on the same PostgreSQL server.
const WRITES_LOCK: i64 = 0x6e65_6374_7202;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;

impl Store {
    /// Takes a place for one write within both limits (0 is no limit), or says how long until there is one.
    pub async fn admit_write(&self, per_minute: u32, per_hour: u32) -> Result<Option<Duration>, StoreError> {
        if per_minute == 0 && per_hour == 0 {
            return Ok(None);
        }
        let tx = self.begin(Lane::Work).await?;
        if self.backend() == DbBackend::Postgres {
            tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({WRITES_LOCK})")).await?;
        }
        let now = self.now();
        let mut wait = 0;
        for (limit, window) in [(per_minute, MINUTE), (per_hour, HOUR)] {
            if limit == 0 {
                continue;
            }
            // The write that must leave the window before another may enter: the limit-th from the newest.
            let sql = "SELECT at FROM github_writes WHERE at > $1 ORDER BY at DESC LIMIT 1 OFFSET $2";
            let values: [Value; 2] = [(now - window).into(), i64::from(limit - 1).into()];
            if let Some(row) = tx.query_one_raw(self.sql(sql, values)).await? {
                wait = wait.max(row.try_get::<i64>("", "at")? + window - now);
            }
        }
        if wait > 0 {
            return Ok(Some(Duration::from_micros(u64::try_from(wait).unwrap_or(0))));
        }
        tx.execute_raw(self.sql("INSERT INTO github_writes (at) VALUES ($1)", [now.into()])).await?;
        tx.execute_raw(self.sql("DELETE FROM github_writes WHERE at <= $1", [(now - HOUR).into()])).await?;
        tx.commit().await?;
        Ok(None)
    }
}
