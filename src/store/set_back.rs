//! A clock that is set back holds nothing up.
//!
//! What waits does so until a moment: its turn, its next attempt, the end of a lease. If the clock is set back an hour, all
//! those moments are an hour further away, and what was about to be done would not be until then. So whoever looks for
//! work first compares the time with the latest this database has seen, and moves the moments back as far as the clock.
//!
//! Leases that end within their usual time were stamped since and stay as they are. Of several processes whose clocks are
//! set back each does so; waits stamped between the first and the second end early.

use std::sync::atomic::Ordering;

use sea_orm::{ConnectionTrait, Value};

use super::{Lane, Store, StoreError, micros, work::lease_micros};

/// What clocks of different machines may differ by, in microseconds. Work that waits this much longer is no harm.
pub(super) const NOTICED: i64 = 5_000_000;

impl Store {
    /// The time, for rows.
    pub(crate) fn now(&self) -> i64 {
        let now = micros(self.inner.clock.now());
        self.inner.latest.fetch_max(now, Ordering::SeqCst);
        now
    }

    /// At start: what time it was when the database was last used. The clock may have been set back in between.
    pub async fn recall_time(&self) -> Result<(), StoreError> {
        for (table, column) in [("deliveries", "received_at"), ("tasks", "received_at"), ("attempts", "started_at")] {
            let sql = format!("SELECT {column} AS latest FROM {table} ORDER BY id DESC LIMIT 1");
            if let Some(row) = self.read().query_one_raw(self.sql(&sql, [])).await? {
                self.inner.latest.fetch_max(row.try_get("", "latest")?, Ordering::SeqCst);
            }
        }
        Ok(())
    }

    /// Moves what waits if the clock was set back.
    pub(super) async fn follow_clock(&self) -> Result<(), StoreError> {
        let (now, latest) = (self.now(), self.inner.latest.load(Ordering::SeqCst));
        if latest - now < NOTICED
            || self.inner.latest.compare_exchange(latest, now, Ordering::SeqCst, Ordering::SeqCst).is_err()
        {
            return Ok(());
        }
        let moved = self.move_back(now, latest - now).await;
        match &moved {
            Ok(moved) => tracing::warn!(seconds = (latest - now) / 1_000_000, moved, "the clock was set back"),
            Err(_) => {
                self.inner.latest.fetch_max(latest, Ordering::SeqCst);
            }
        }
        moved.map(|_| ())
    }

    /// Moves all moments after `now`. In the order in which claims lock rows.
    async fn move_back(&self, now: i64, by: i64) -> Result<u64, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let mut moved = 0;
        let stamped_since = now + lease_micros();
        let due = format!("CASE WHEN status = 'running' THEN {stamped_since} ELSE {now} END");
        for (table, column, after) in [
            ("deliveries", "due_at", due.clone()),
            ("tasks", "due_at", due),
            ("lanes", "until", stamped_since.to_string()),
            ("github_writes", "at", now.to_string()),
            ("installations", "catch_up_due", now.to_string()),
        ] {
            let sql = format!("UPDATE {table} SET {column} = {column} - $1 WHERE {column} > {after}");
            let values: [Value; 1] = [by.into()];
            moved += tx.execute_raw(self.sql(&sql, values)).await?.rows_affected();
        }
        tx.commit().await?;
        Ok(moved)
    }
}
