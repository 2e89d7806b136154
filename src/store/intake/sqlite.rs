//! A group of deliveries into SQLite, on the thread of whoever asks.
//!
//! Everything else reaches SQLite through a pool whose connections have a thread each, and so with a crossing there and one
//! back for every statement. Between two flushes those took more time than everything that is done there, so the one who
//! writes deliveries has a connection in its own hands.

use std::{path::Path, sync::LazyLock};

use rusqlite::{Connection, OpenFlags, Statement, params};
use sea_orm::{DbErr, RuntimeErr};

use super::{
    COLUMNS, Inserted, Prepared,
    guids::{Guids, KNOWN, STRETCH, key},
};
use crate::{
    domain::DeliveryId,
    store::{Lane, Store, StoreError, checkpoint, open::BUSY},
};

/// The connection, and what it knows.
#[derive(Default)]
pub(super) struct Line(Option<(Connection, Guids)>);

impl Store {
    /// What became of each. Keeps the thread until all are on disk.
    pub(super) async fn insert_sqlite(&self, rows: &[&Prepared]) -> Result<Vec<Inserted>, StoreError> {
        let now = self.now();
        self.on_line(|connection, guids| {
            let mut inserted = Vec::with_capacity(rows.len());
            let (mut known, mut insert) = (connection.prepare_cached(KNOWN)?, connection.prepare_cached(&INSERT)?);
            for row in rows {
                let key = key(row);
                inserted.push(match guids.find(&mut known, key)? {
                    Some(id) => Inserted::Known(Some(DeliveryId(id))),
                    None => {
                        row.insert(&mut insert, now)?;
                        let id = connection.last_insert_rowid();
                        guids.add(key, id);
                        Inserted::New(DeliveryId(id))
                    }
                });
            }
            let pages: u64 = rows.iter().map(|row| checkpoint::delivery(row.size())).sum();
            Ok((inserted, pages + guids.index(connection, guids.excess())?))
        })
        .await
    }

    /// Takes a stretch of what is known into the index, while nothing else is to be done. Whether all of it is there now.
    pub(super) async fn index_sqlite(&self) -> Result<bool, StoreError> {
        self.on_line(|connection, guids| {
            let pages = guids.index(connection, STRETCH)?;
            Ok((guids.indexed(), pages))
        })
        .await
    }

    /// Writes in a transaction, and says how many pages that changes, about.
    async fn on_line<T>(
        &self,
        f: impl FnOnce(&Connection, &mut Guids) -> rusqlite::Result<(T, u64)>,
    ) -> Result<T, StoreError> {
        let _turn = self.inner.gate.enter(Lane::Intake).await;
        let Some(path) = &self.inner.path else { return Err(StoreError::Setup("no file".into())) };
        let done = self.inner.lines.sqlite.lock().await.write(path, f);
        let (done, pages) =
            done.map_err(|error| StoreError::Database(DbErr::Exec(RuntimeErr::Internal(error.to_string()))))?;
        self.inner.log.grew(checkpoint::TRANSACTION + pages);
        Ok(done)
    }
}

impl Line {
    fn write<T>(
        &mut self,
        path: &Path,
        f: impl FnOnce(&Connection, &mut Guids) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let (connection, mut guids) = match self.0.take() {
            Some(open) => open,
            None => (open(path)?, Guids::new()),
        };
        if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
            self.0 = Some((connection, guids));
            return Err(error);
        }
        // From here on they are kept only if all goes well: otherwise what is known is not what is there.
        guids.catch_up(&connection)?;
        let done = f(&connection, &mut guids)?;
        connection.execute_batch("COMMIT")?;
        self.0 = Some((connection, guids));
        Ok(done)
    }
}

impl Prepared {
    fn insert(&self, statement: &mut Statement<'_>, now: i64) -> rusqlite::Result<()> {
        statement.execute(params![
            self.installation,
            self.guid,
            self.event,
            self.action,
            self.repo_id,
            self.repo,
            self.number,
            self.head,
            self.event_at,
            self.reviews,
            self.status,
            self.due_by(now),
            self.received_at,
            self.finished_at,
            self.outcome,
            self.headers,
            self.payload(),
        ])?;
        Ok(())
    }
}

/// SQLite's own cache is enough: with a larger one, each split of a page of an index costs a look at all of it.
fn open(path: &Path) -> rusqlite::Result<Connection> {
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
        "INSERT INTO deliveries ({}, attempts, fence) VALUES (?{}, 0, 0)",
        COLUMNS.join(", "),
        ", ?".repeat(COLUMNS.len() - 1)
    )
});

#[cfg(test)]
impl Line {
    /// Tells the open connection something.
    pub(super) fn pragma(&mut self, pragma: &str) {
        let (connection, _) = self.0.as_mut().expect("something was inserted");
        connection.query_row(pragma, [], |_| Ok(())).expect("a pragma");
    }
}
