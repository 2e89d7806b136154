//! Holding on to claimed work, and letting go of it.
//!
//! Every write here checks the fence first: a worker whose lease went to somebody else is told [`StoreError::Fenced`] and
//! has changed nothing.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Value};

use super::{
    Lane, Store, StoreError, WriteTx,
    work::{Lease, Source, clean, lease_micros},
};
use crate::domain::retry::{MAX_ATTEMPTS, MAX_PARKED};

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Finished as `completed`, `superseded` or `ignored`, with its outcome.
    Finished {
        /// The final status.
        status: super::deliveries::Status,
        /// A snake_case code.
        outcome: String,
    },
    /// Failed; counts. Tried again after the wait, or dead if that was the last attempt.
    Failed {
        /// Wait before the next attempt.
        wait: Duration,
        /// What went wrong.
        error: String,
    },
    /// The world is not ready; does not count. Tried again after the wait, dead after 72 hours of this.
    Parked {
        /// Wait before the next attempt.
        wait: Duration,
        /// What is missing.
        error: String,
    },
    /// The process is shutting down; as if it had never been claimed.
    HandedBack,
}

/// The lane a lease holds, found by its pull request. Takes the first three parameters: source, id and fence.
fn lane_of(lease: Lease) -> String {
    format!(
        "(repo_id, pr_number) = (SELECT repo_id, pr_number FROM {} WHERE id = $2) AND source = $1 AND work_id = $2 \
         AND fence = $3",
        lease.source.table()
    )
}

impl Store {
    /// Keeps a lease alive. [`StoreError::Fenced`] if it is over: stop working, write nothing.
    pub async fn heartbeat(&self, lease: Lease) -> Result<(), StoreError> {
        self.follow_clock().await?;
        let tx = self.begin(Lane::Work).await?;
        let until = self.now() + lease_micros();
        let sql = format!(
            "UPDATE {} SET due_at = $3 WHERE id = $1 AND fence = $2 AND status = 'running'",
            lease.source.table()
        );
        let values: [Value; 3] = [lease.id.into(), lease.fence.into(), until.into()];
        if tx.execute_raw(self.sql(&sql, values)).await?.rows_affected() == 0 {
            return Err(StoreError::Fenced);
        }
        let sql = format!("UPDATE lanes SET until = $4 WHERE {}", lane_of(lease));
        let values: [Value; 4] = [lease.source.as_str().into(), lease.id.into(), lease.fence.into(), until.into()];
        tx.execute_raw(self.sql(&sql, values)).await?;
        tx.commit().await
    }

    /// Whether the lease still holds; inside a transaction, so that what follows in it is covered.
    pub(crate) async fn check_fence(&self, tx: &WriteTx, lease: Lease) -> Result<(), StoreError> {
        let lock = self.locking();
        let sql = format!(
            "SELECT id FROM {} WHERE id = $1 AND fence = $2 AND status = 'running' {lock}",
            lease.source.table()
        );
        match tx.query_one_raw(self.sql(&sql, [lease.id.into(), lease.fence.into()])).await? {
            Some(_) => Ok(()),
            None => Err(StoreError::Fenced),
        }
    }

    /// `WITH mine AS (...)`: one row for as long as the lease holds, none when it is over; what the statement goes on to
    /// write is covered. Takes two parameters, from the `first` on: see [`Lease::id`] and [`Lease::fence`].
    pub(crate) fn with_mine(&self, lease: Lease, first: usize) -> String {
        let lock = self.locking();
        format!(
            "WITH mine AS (SELECT id FROM {} WHERE id = ${first} AND fence = ${} AND status = 'running' {lock})",
            lease.source.table(),
            first + 1
        )
    }

    /// Whether the lease still holds right now.
    pub async fn still_mine(&self, lease: Lease) -> Result<(), StoreError> {
        let sql =
            format!("SELECT id FROM {} WHERE id = $1 AND fence = $2 AND status = 'running'", lease.source.table());
        match self.read().query_one_raw(self.sql(&sql, [lease.id.into(), lease.fence.into()])).await? {
            Some(_) => Ok(()),
            None => Err(StoreError::Fenced),
        }
    }

    /// Ends an attempt. [`StoreError::Fenced`] if somebody else has the work by now; then nothing was written.
    pub async fn finish(&self, lease: Lease, end: &End) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        // A delivery is finished by one statement that looks at the fence itself. A task may be asked for once more at this
        // moment: whoever does so has to wait.
        if lease.source == Source::Task || !matches!(end, End::Finished { .. }) {
            self.check_fence(&tx, lease).await?;
        }
        let (result, error) = match end {
            End::Finished { status, outcome } => {
                self.settle(&tx, lease, status.as_str(), Some(outcome), None).await?;
                (status.as_str(), None)
            }
            End::Failed { wait, error } => {
                if self.attempts_of(&tx, lease).await? >= i64::from(MAX_ATTEMPTS) {
                    self.settle(&tx, lease, "dead", None, Some(error)).await?;
                } else {
                    let set = "status = 'failed', parked_since = NULL, due_at = $2, last_error = $3";
                    self.schedule(&tx, lease, set, Some(*wait), Some(error)).await?;
                }
                ("failed", Some(error.as_str()))
            }
            End::Parked { wait, error } => {
                if self.parked_for(&tx, lease).await? >= MAX_PARKED {
                    self.settle(&tx, lease, "dead", None, Some(error)).await?;
                } else {
                    let set = "status = 'failed', attempts = attempts - 1, \
                               parked_since = COALESCE(parked_since, $4), due_at = $2, last_error = $3";
                    self.schedule(&tx, lease, set, Some(*wait), Some(error)).await?;
                }
                ("parked", Some(error.as_str()))
            }
            End::HandedBack => {
                self.schedule(&tx, lease, "status = 'queued', attempts = attempts - 1, due_at = $2", None, None)
                    .await?;
                ("handed_back", None)
            }
        };
        self.end_attempt(&tx, lease, result, error).await?;
        let sql = format!("DELETE FROM lanes WHERE {}", lane_of(lease));
        let values: [Value; 3] = [lease.source.as_str().into(), lease.id.into(), lease.fence.into()];
        tx.execute_raw(self.sql(&sql, values)).await?;
        tx.commit().await
    }

    /// Ends the work for good, or has it wait again if it was asked for once more meanwhile. [`StoreError::Fenced`] if it
    /// is somebody else's.
    pub(super) async fn settle(
        &self,
        tx: &WriteTx,
        lease: Lease,
        status: &str,
        outcome: Option<&str>,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        if self.runs_again(tx, lease).await? {
            return Ok(());
        }
        let sql = format!(
            "UPDATE {} SET status = $2, due_at = NULL, finished_at = $3, outcome = $4, last_error = $5, \
             parked_since = NULL WHERE id = $1 AND fence = $6 AND status = 'running'",
            lease.source.table()
        );
        let values: [Value; 6] = [
            lease.id.into(),
            status.into(),
            self.now().into(),
            outcome.into(),
            error.map(clean).into(),
            lease.fence.into(),
        ];
        match tx.execute_raw(self.sql(&sql, values)).await?.rows_affected() {
            0 => Err(StoreError::Fenced),
            _ => Ok(()),
        }
    }

    async fn schedule(
        &self,
        tx: &WriteTx,
        lease: Lease,
        set: &str,
        wait: Option<Duration>,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let wait = i64::try_from(wait.unwrap_or_default().as_micros()).unwrap_or(i64::MAX / 2);
        let sql = format!("UPDATE {} SET {set} WHERE id = $1", lease.source.table());
        let mut values: Vec<Value> = vec![lease.id.into(), (now + wait).into()];
        if let Some(error) = error {
            values.push(clean(error).into());
        }
        if set.contains("$4") {
            values.push(now.into());
        }
        tx.execute_raw(self.sql(&sql, values)).await?;
        Ok(())
    }

    async fn attempts_of(&self, tx: &WriteTx, lease: Lease) -> Result<i64, StoreError> {
        let sql = format!("SELECT attempts FROM {} WHERE id = $1", lease.source.table());
        match tx.query_one_raw(self.sql(&sql, [lease.id.into()])).await? {
            Some(row) => Ok(row.try_get("", "attempts")?),
            None => Err(StoreError::Fenced),
        }
    }

    async fn parked_for(&self, tx: &WriteTx, lease: Lease) -> Result<Duration, StoreError> {
        let sql = format!("SELECT parked_since FROM {} WHERE id = $1", lease.source.table());
        let row = tx.query_one_raw(self.sql(&sql, [lease.id.into()])).await?;
        let since: Option<i64> = row.map(|row| row.try_get("", "parked_since")).transpose()?.flatten();
        let micros = since.map_or(0, |since| self.now() - since);
        Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    }
}
