//! A group of deliveries into SQLite: one statement, which is one crossing to the thread that owns the connection.
//!
//! The ids are chosen here, so that the statement has nothing to return: this process is the only one that inserts (the
//! file is locked), and should it not be, an id that is taken is noticed and the next free one looked up.

use std::sync::OnceLock;

use sqlx::{
    Arguments, Row as _, Sqlite,
    error::BoxDynError,
    pool::PoolConnection,
    sqlite::{SqliteArguments, SqlitePool},
};

use super::{COLUMNS, GROUP, Packed, failed};
use crate::store::{Lane, Store, StoreError, checkpoint};

/// In KiB: ids of deliveries come in no order, so the pages of their index are all in use.
const CACHE: &str = "PRAGMA cache_size = -16384";

/// The connection, and the next free id.
#[derive(Default)]
pub(super) struct Line(Option<(PoolConnection<Sqlite>, i64)>);

impl Store {
    /// The ids of those that are new; nothing for those that are known.
    pub(super) async fn insert_sqlite(&self, rows: &[&Packed]) -> Result<Vec<Option<i64>>, StoreError> {
        let _turn = self.inner.gate.enter(Lane::Intake).await;
        let pool = self.inner.write.get_sqlite_connection_pool();
        let mut line = self.inner.lines.sqlite.lock().await;
        let mut inserted = line.insert(pool, rows, self.now()).await;
        // Once by somebody else, and once by a group that was given up and is on disk nevertheless.
        for _ in 0..2 {
            if inserted.as_ref().is_err_and(is_taken) {
                inserted = line.insert(pool, rows, self.now()).await;
            }
        }
        self.inner.log.grew(rows.iter().map(|row| checkpoint::delivery(row.size())).sum());
        inserted.map_err(failed)
    }
}

impl Line {
    /// The connection is kept only when all went well: one that was given up half-way is nobody's.
    async fn insert(&mut self, pool: &SqlitePool, rows: &[&Packed], now: i64) -> Result<Vec<Option<i64>>, sqlx::Error> {
        let (mut connection, first) = match self.0.take() {
            Some(open) => open,
            None => {
                let mut connection = pool.acquire().await?;
                sqlx::query(CACHE).execute(&mut *connection).await?;
                let next = next_id(&mut connection).await?;
                (connection, next)
            }
        };
        let next = first + i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let values = arguments(first, rows, now).map_err(sqlx::Error::Encode)?;
        let inserted = sqlx::query_with(insert(rows.len()), values).execute(&mut *connection).await?.rows_affected();
        let ids = if inserted == rows.len() as u64 {
            (first..next).map(Some).collect()
        } else {
            let sql = "SELECT id FROM deliveries WHERE id >= ?";
            let new = sqlx::query(sql).bind(first).fetch_all(&mut *connection).await?;
            let new = new.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
            (first..next).map(|id| new.contains(&id).then_some(id)).collect()
        };
        self.0 = Some((connection, next));
        Ok(ids)
    }
}

#[cfg(test)]
impl Line {
    /// Tells the open connection something.
    pub(super) async fn pragma(&mut self, pragma: &str) {
        let (connection, _) = self.0.as_mut().expect("something was inserted");
        sqlx::query(sqlx::AssertSqlSafe(pragma.to_owned())).execute(&mut **connection).await.expect("a pragma");
    }
}

async fn next_id(connection: &mut PoolConnection<Sqlite>) -> Result<i64, sqlx::Error> {
    let sql = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'deliveries'";
    sqlx::query(sql).fetch_one(&mut **connection).await?.try_get(0)
}

/// Whether the ids were somebody else's: a delivery that is known is no error.
fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}

fn arguments(first: i64, rows: &[&Packed], now: i64) -> Result<SqliteArguments, BoxDynError> {
    let mut values = SqliteArguments::default();
    values.reserve(rows.len() * (COLUMNS.len() + 1), 0);
    for (id, row) in (first..).zip(rows) {
        values.add(id)?;
        values.add(row.installation)?;
        values.add(row.guid.as_str())?;
        values.add(row.event.as_str())?;
        values.add(row.action.as_deref())?;
        values.add(row.repo_id)?;
        values.add(row.repo.as_deref())?;
        values.add(row.number)?;
        values.add(row.head.as_deref())?;
        values.add(row.event_at)?;
        values.add(row.reviews)?;
        values.add(row.status)?;
        values.add(row.due_by(now))?;
        values.add(row.received_at)?;
        values.add(row.finished_at)?;
        values.add(row.outcome)?;
        values.add(row.headers.as_str())?;
        values.add(row.payload.as_slice())?;
    }
    Ok(values)
}

/// The statement that inserts up to `rows` deliveries, unless they are known. There is one for each power of two, so that
/// few are prepared and kept; what is not bound is null, and rows without an id are none.
fn insert(rows: usize) -> &'static str {
    const SIZES: usize = GROUP.ilog2() as usize + 1;
    static TEXTS: [OnceLock<String>; SIZES] = [const { OnceLock::new() }; SIZES];
    let size = rows.next_power_of_two();
    TEXTS[size.ilog2() as usize].get_or_init(|| {
        let row = format!("(?{}, 0, 0)", ", ?".repeat(COLUMNS.len()));
        format!(
            "INSERT INTO deliveries (id, {}, attempts, fence) SELECT * FROM (VALUES {}) WHERE column1 IS NOT NULL \
             ON CONFLICT (installation_id, guid) DO NOTHING",
            COLUMNS.join(", "),
            vec![row; size].join(", ")
        )
    })
}
