//! How much waits, and what retention deletes.

use sea_orm::{ConnectionTrait, Value};

use super::{Lane, Store, StoreError, deliveries::Status};

const DAY: i64 = 86_400_000_000;

/// Counts for `/health`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Waiting, deliveries and tasks, those that failed and will be tried again included.
    pub queued: i64,
    /// With a worker.
    pub running: i64,
    /// Given up.
    pub dead: i64,
    /// Age of the oldest that waits, in seconds.
    pub oldest_seconds: i64,
    /// Of what waits, the deliveries.
    pub deliveries: Waits,
    /// Of what waits, the tasks.
    pub tasks: Waits,
}

/// What work waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waits {
    /// For a worker.
    pub queued: i64,
    /// For its next attempt, because the last one failed.
    pub failed: i64,
    /// For the world: a rate limit, an outage, the bot's token.
    pub parked: i64,
}

impl Store {
    /// How much waits.
    pub async fn queue_depth(&self) -> Result<QueueDepth, StoreError> {
        let mut depth = QueueDepth::default();
        let mut oldest = None;
        for (table, waits) in [("deliveries", &mut depth.deliveries), ("tasks", &mut depth.tasks)] {
            let sql = format!(
                "SELECT status, parked_since IS NOT NULL AS parked, COUNT(*) AS rows, MIN(received_at) AS oldest \
                 FROM {table} WHERE due_at IS NOT NULL GROUP BY status, parked_since IS NOT NULL"
            );
            for row in self.read().query_all_raw(self.sql(&sql, [])).await? {
                let rows: i64 = row.try_get("", "rows")?;
                let status: String = row.try_get("", "status")?;
                if status == Status::Running.as_str() {
                    depth.running += rows;
                } else {
                    depth.queued += rows;
                    let waiting = match (status == Status::Failed.as_str(), row.try_get("", "parked")?) {
                        (true, true) => &mut waits.parked,
                        (true, false) => &mut waits.failed,
                        (false, _) => &mut waits.queued,
                    };
                    *waiting += rows;
                    let age: i64 = row.try_get("", "oldest")?;
                    oldest = Some(oldest.map_or(age, |oldest: i64| oldest.min(age)));
                }
            }
            let sql = format!("SELECT COUNT(*) AS rows FROM {table} WHERE status = 'dead'");
            if let Some(row) = self.read().query_one_raw(self.sql(&sql, [])).await? {
                depth.dead += row.try_get::<i64>("", "rows")?;
            }
        }
        depth.oldest_seconds = oldest.map_or(0, |oldest| (self.now() - oldest).max(0) / 1_000_000);
        Ok(depth)
    }

    /// Deletes some of what is older than the retention: finished deliveries after `days`, dead ones after three times
    /// that, with their attempts. At most `slice` rows, so that intake never waits long; returns how many.
    pub async fn prune_deliveries(&self, days: u32, slice: u64) -> Result<u64, StoreError> {
        let now = self.now();
        let old = now - i64::from(days) * DAY;
        let very_old = now - i64::from(days) * 3 * DAY;
        let tx = self.begin(Lane::Work).await?;
        let sql =
            "SELECT id FROM deliveries WHERE finished_at < $1 AND (status <> 'dead' OR finished_at < $2) LIMIT $3";
        let values: [Value; 3] = [old.into(), very_old.into(), i64::try_from(slice).unwrap_or(i64::MAX).into()];
        let rows = tx.query_all_raw(self.sql(sql, values)).await?;
        let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<i64>, _>>()?;
        if ids.is_empty() {
            return Ok(0);
        }
        let list = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        tx.execute_raw(self.sql(&format!("DELETE FROM deliveries WHERE id IN ({list})"), [])).await?;
        let sql = format!("DELETE FROM attempts WHERE source = 'delivery' AND work_id IN ({list})");
        tx.execute_raw(self.sql(&sql, [])).await?;
        tx.commit().await?;
        Ok(ids.len() as u64)
    }

    /// Deletes what has no further use: sessions that are over, and finished tasks and malformed deliveries older than
    /// `days`. The last graph build, history and scan of each repository stay: they tell how it stands. There are few of
    /// them, so one transaction does; returns how many rows went.
    pub async fn prune_rest(&self, days: u32) -> Result<u64, StoreError> {
        let now = self.now();
        let old = now - i64::from(days) * DAY;
        let tx = self.begin(Lane::Work).await?;
        let mut pruned = 0;
        for (sql, before) in [
            ("DELETE FROM sessions WHERE expires_at < $1", now),
            ("DELETE FROM attempts WHERE source = 'task' AND finished_at < $1", old),
            (
                "DELETE FROM tasks WHERE finished_at < $1 AND (kind NOT IN ('graph', 'history', 'scan') OR EXISTS \
                 (SELECT 1 FROM tasks t WHERE t.kind = tasks.kind AND t.key = tasks.key AND t.id > tasks.id \
                 AND t.status <> 'ignored' AND t.finished_at IS NOT NULL))",
                old,
            ),
            ("DELETE FROM rejected WHERE received_at < $1", old),
        ] {
            pruned += tx.execute_raw(self.sql(sql, [before.into()])).await?.rows_affected();
        }
        tx.commit().await?;
        Ok(pruned)
    }
}
