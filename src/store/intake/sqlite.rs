//! A group of deliveries into SQLite, on the thread of whoever asks.
//!
//! Everything else reaches SQLite through a pool whose connections have a thread each, and so with a crossing there and one
//! back for every statement. Between two flushes those took more time than everything that is done there, so the one who
//! writes deliveries has a connection in its own hands.

use std::{path::Path, sync::LazyLock};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use sea_orm::{DbErr, RuntimeErr};

use super::{COLUMNS, Packed};
use crate::store::{Lane, Store, StoreError, checkpoint, open::BUSY};

/// The connection.
#[derive(Default)]
pub(super) struct Line(Option<Connection>);

impl Store {
    /// The ids of those that are new; nothing for those that are known. Keeps the thread until all are on disk.
    pub(super) async fn insert_sqlite(&self, rows: &[&Packed]) -> Result<Vec<Option<i64>>, StoreError> {
        let _turn = self.inner.gate.enter(Lane::Intake).await;
        let Some(path) = &self.inner.path else { return Err(StoreError::Setup("no file".into())) };
        let inserted = self.inner.lines.sqlite.lock().await.insert(path, rows, self.now());
        self.inner.log.grew(rows.iter().map(|row| checkpoint::delivery(row.size())).sum());
        inserted.map_err(|error| StoreError::Database(DbErr::Exec(RuntimeErr::Internal(error.to_string()))))
    }
}

impl Line {
    /// The connection is kept only when all went well.
    fn insert(&mut self, path: &Path, rows: &[&Packed], now: i64) -> Result<Vec<Option<i64>>, rusqlite::Error> {
        let mut connection = match self.0.take() {
            Some(open) => open,
            None => open(path)?,
        };
        let mut ids = Vec::with_capacity(rows.len());
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = tx.prepare_cached(&INSERT)?;
            for row in rows {
                let new = insert.execute(params![
                    row.installation,
                    row.guid,
                    row.event,
                    row.action,
                    row.repo_id,
                    row.repo,
                    row.number,
                    row.head,
                    row.event_at,
                    row.reviews,
                    row.status,
                    row.due_by(now),
                    row.received_at,
                    row.finished_at,
                    row.outcome,
                    row.headers,
                    row.payload,
                ])?;
                ids.push((new > 0).then(|| tx.last_insert_rowid()));
            }
        }
        tx.commit()?;
        self.0 = Some(connection);
        Ok(ids)
    }
}

/// SQLite's own cache is enough: with a larger one, each split of a page of an index costs a look at all of it.
fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    // As a URL, as everything else opens it: `%20` is a space.
    let url = format!("file:{}", path.display());
    let connection = Connection::open_with_flags(
        url,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", checkpoint::MOST as i64)?;
    Ok(connection)
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO deliveries ({}, attempts, fence) VALUES (?{}, 0, 0) ON CONFLICT (installation_id, guid) DO NOTHING",
        COLUMNS.join(", "),
        ", ?".repeat(COLUMNS.len() - 1)
    )
});

#[cfg(test)]
impl Line {
    /// Tells the open connection something.
    pub(super) fn pragma(&mut self, pragma: &str) {
        let connection = self.0.as_mut().expect("something was inserted");
        connection.query_row(pragma, [], |_| Ok(())).expect("a pragma");
    }
}
