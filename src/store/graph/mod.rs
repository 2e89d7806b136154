//! The code graph in SQL.
//!
//! On SQLite it is a file of its own beside the database, so that a build of a hundred thousand files never stands in
//! front of a delivery. On PostgreSQL it is tables `graph_*` in the same database.
//!
//! A file's id is made from its repository and path, so a fact is written without looking anything up. Rows travel as
//! one JSON parameter: a statement has the same text for one row and for thousands, on both databases. Writes to one
//! repository take turns.

mod ask;
mod build;
mod held;
mod learn;
mod look;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use migrations::GraphMigrator;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, RuntimeErr, Value};
use serde::Serialize;

use super::{Lane, Store, StoreError, WriteTx};
use crate::domain::RepoId;

/// Any number nobody else uses on the same PostgreSQL server.
pub(super) const MIGRATION_LOCK: i64 = 0x6e65_6374_7203;

/// Above every number used alone: this plus a repository's id is the lock for its part of the graph.
const REPOSITORY_LOCK: i64 = 0x6e65_6374_7204_0000;

/// Rows in one statement: enough that statements cost nothing, few enough that none takes long.
const BATCH: usize = 2_000;

/// The tables of the code graph.
#[derive(Clone)]
pub struct GraphStore {
    store: Store,
}

impl Store {
    /// Opens the code graph that belongs to this database. Does not migrate.
    pub async fn graph(&self) -> Result<GraphStore, StoreError> {
        let store = match &self.inner.path {
            Some(path) => Self::sqlite(beside(path), self.inner.clock.clone(), None).await?,
            None => self.clone(),
        };
        Ok(GraphStore { store })
    }
}

/// `nectr-graph.db` for `nectr.db`.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.file_stem().unwrap_or_default().to_owned();
    name.push("-graph");
    if let Some(end) = database.extension() {
        name.push(".");
        name.push(end);
    }
    database.with_file_name(name)
}

impl GraphStore {
    /// Brings the schema up to date. Changes nothing if it is: another process may be writing.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.store.migrate_with::<GraphMigrator>(MIGRATION_LOCK).await
    }

    /// Whether it answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// Begins a write to one repository's part of the graph, waiting for its turn.
    async fn begin(&self, repo: RepoId) -> Result<WriteTx, StoreError> {
        let tx = self.store.begin(Lane::Work).await?;
        if self.store.backend() == DbBackend::Postgres {
            let lock = REPOSITORY_LOCK.wrapping_add(repo.0);
            tx.execute_raw(self.store.sql("SELECT pg_advisory_xact_lock($1)", [lock.into()])).await?;
        }
        Ok(tx)
    }

    /// Runs a statement in which `{rows}` stands for the rows of its first parameter: a JSON array, each of whose items
    /// is called `value`.
    async fn write<V: IntoIterator<Item = Value>>(&self, tx: &WriteTx, sql: &str, values: V) -> Result<(), StoreError> {
        tx.execute_raw(self.store.sql(&self.with_rows(sql), values)).await?;
        Ok(())
    }

    /// The rows of such a statement that only reads.
    async fn query<V: IntoIterator<Item = Value>>(&self, sql: &str, values: V) -> Result<Vec<QueryResult>, StoreError> {
        Ok(self.store.read().query_all_raw(self.store.sql(&self.with_rows(sql), values)).await?)
    }

    fn with_rows(&self, sql: &str) -> String {
        sql.replace("{rows}", &self.elements(1))
    }

    /// The items of the JSON array that is a statement's n-th parameter, as a table with a column `value`.
    fn elements(&self, parameter: usize) -> String {
        match self.store.backend() {
            DbBackend::Sqlite => format!("json_each(${parameter})"),
            _ => format!("jsonb_array_elements(CAST(${parameter} AS jsonb)) AS rows (value)"),
        }
    }
}

/// Rows as a parameter.
fn rows<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<Value, StoreError> {
    let rows: Vec<T> = rows.into_iter().collect();
    Ok(serde_json::to_string(&rows).map_err(|error| StoreError::Corrupt(error.to_string()))?.into())
}

/// Text as both databases take it: PostgreSQL refuses NUL.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Every n-th item of a list that may have duplicates is in the n-th round: none has two items with the same key.
fn rounds<'a, T, K: std::hash::Hash + Eq>(items: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<Vec<&'a T>> {
    let mut seen = std::collections::HashMap::new();
    let mut rounds: Vec<Vec<&'a T>> = Vec::new();
    for item in items {
        let round = seen.entry(key(item)).or_insert(0);
        match rounds.get_mut(*round) {
            Some(items) => items.push(item),
            None => rounds.push(vec![item]),
        }
        *round += 1;
    }
    rounds
}

impl StoreError {
    /// Whether the database itself is away (gone, full, overloaded), so that the same statement may succeed later.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) => true,
            Self::Database(DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) => {
                match &**error {
                    sqlx::Error::Database(error) => error.code().is_some_and(|code| is_outage(&code)),
                    sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::Protocol(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed => true,
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

/// By PostgreSQL's classes of SQLSTATE (connection, resources, operator intervention, system) and SQLite's primary
/// result codes (BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN) in the low byte of its extended ones.
fn is_outage(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class));
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 7 | 10 | 13 | 14))
}
