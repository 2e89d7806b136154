//! How many writes GitHub has had from all replicas lately, and when the next may follow.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Value};

use super::{Lane, Store, StoreError, set_back::NOTICED};

/// Any number nobody else uses on the same PostgreSQL server.
const WRITES_LOCK: i64 = 0x6e65_6374_7202;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;

/// From one write to the next. GitHub asks for a second at least; what is sent later may be there sooner.
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>
const APART: i64 = 1_100_000;

/// Places are given this far ahead, at most: somebody waits for each.
const AHEAD: i64 = 30_000_000;

/// Whether a write may go to GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A place was taken. Its turn comes after so long.
    Taken(Duration),
    /// There is none before so long.
    NoneFor(Duration),
}

impl Store {
    /// Takes a place for one write within both limits (0 is no limit), and behind the write before if there is a limit for
    /// minutes; or says how long until there is one.
    pub async fn admit_write(&self, per_minute: u32, per_hour: u32) -> Result<Place, StoreError> {
        if per_minute == 0 && per_hour == 0 {
            return Ok(Place::Taken(Duration::ZERO));
        }
        let tx = self.begin(Lane::Work).await?;
        if self.backend() == DbBackend::Postgres {
            tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({WRITES_LOCK})")).await?;
        }
        let now = self.now();
        // What is further ahead was stamped before the clock was set back.
        let sql = "SELECT MAX(at) AS at FROM github_writes WHERE at <= $1";
        let latest = tx.query_one_raw(self.sql(sql, [(now + AHEAD + NOTICED).into()])).await?;
        let latest: Option<i64> = latest.map(|row| row.try_get("", "at")).transpose()?.flatten();
        let at = match latest {
            Some(latest) if per_minute > 0 => now.max(latest + APART),
            _ => now,
        };
        let mut wait = (at - now - AHEAD).max(0);
        for (limit, window) in [(per_minute, MINUTE), (per_hour, HOUR)] {
            if limit == 0 {
                continue;
            }
            // The write that must leave the window before another may enter: the limit-th from the newest.
            let sql = "SELECT at FROM github_writes WHERE at > $1 ORDER BY at DESC LIMIT 1 OFFSET $2";
            let values: [Value; 2] = [(at - window).into(), i64::from(limit - 1).into()];
            if let Some(row) = tx.query_one_raw(self.sql(sql, values)).await? {
                wait = wait.max(row.try_get::<i64>("", "at")? + window - now);
            }
        }
        if wait > 0 {
            return Ok(Place::NoneFor(micros(wait)));
        }
        tx.execute_raw(self.sql("INSERT INTO github_writes (at) VALUES ($1)", [at.into()])).await?;
        tx.execute_raw(self.sql("DELETE FROM github_writes WHERE at <= $1", [(now - HOUR).into()])).await?;
        tx.commit().await?;
        Ok(Place::Taken(micros(at - now)))
    }
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros.unsigned_abs())
}
