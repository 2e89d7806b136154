//! All SQL. Domain types go in and come out; nobody above knows which database it is.
//!
//! Reads go to a pool. Writes go through `Store::begin`: on SQLite, which has one writer, callers queue for it in
//! two lanes so that a delivery waiting for its 202 never stands behind housekeeping; on PostgreSQL they are ordinary
//! transactions. Transactions are short and nothing but SQL is awaited inside one.
//!
//! Times are stored as microseconds since 1970 (see the migrations).

use std::{
    ops::Deref,
    path::PathBuf,
    sync::{Arc, atomic::AtomicI64},
};

use chrono::{DateTime, TimeZone, Utc};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
    sea_query::{Expr, Func},
};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore},
};

use crate::domain::Clock;

pub mod access;
mod checkpoint;
pub mod deliveries;
pub mod effects;
pub mod erasure;
pub mod graph;
pub mod installations;
pub mod intake;
pub mod lease;
pub mod missed;
mod open;
pub mod outcome;
pub mod profiles;
pub mod rejected;
pub mod reviewed;
pub mod reviews;
mod schema;
pub mod sealed;
pub mod sessions;
mod set_back;
pub mod tasks;
pub mod upkeep;
pub mod users;
pub mod work;
pub mod writes;

pub use open::sqlite_path;

/// A database error. What a caller can do about it is try later; what an operator can do is in the text.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not do what was asked.
    #[error("database: {0}")]
    Database(#[from] DbErr),
    /// The settings or the file are wrong; trying again will not help.
    #[error("{0}")]
    Setup(String),
    /// A row holds something this version cannot read.
    #[error("unreadable row: {0}")]
    Corrupt(String),
    /// The work this write belongs to has been given to somebody else.
    #[error("this worker's lease is over")]
    Fenced,
}

/// The database.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    read: DatabaseConnection,
    write: DatabaseConnection,
    gate: Gate,
    clock: Clock,
    /// The latest time this process took for now, or found in the database.
    latest: AtomicI64,
    /// Where it lies, on SQLite.
    path: Option<PathBuf>,
    log: checkpoint::Log,
    known: installations::Memory,
    lines: intake::Lines,
    /// The connections of `read` and `write` belong to this one: what uses them for others runs there.
    runtime: Handle,
    /// Held for the life of the process, so that a second one on the same SQLite file is refused.
    _lock: Option<std::fs::File>,
}

/// Who may write next to SQLite: the intake lane first.
struct Gate {
    writer: Arc<Mutex<()>>,
    /// Everybody but intake passes here one at a time, so at most one of them stands in front of intake.
    others: Arc<Semaphore>,
}

/// Which queue a SQLite write stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Somebody waits for an answer to a delivery.
    Intake,
    /// Workers, accounts, housekeeping.
    Work,
}

/// A write transaction. Dropped without [`WriteTx::commit`], it is rolled back.
pub(crate) struct WriteTx {
    tx: DatabaseTransaction,
    _turn: Option<(Option<OwnedSemaphorePermit>, OwnedMutexGuard<()>)>,
}

impl Deref for WriteTx {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.tx
    }
}

impl WriteTx {
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.tx.commit().await?)
    }
}

impl Store {
    /// For reading.
    pub(crate) fn read(&self) -> &DatabaseConnection {
        &self.inner.read
    }

    /// Begins a write transaction, waiting for its turn.
    pub(crate) async fn begin(&self, lane: Lane) -> Result<WriteTx, StoreError> {
        if self.backend() != DbBackend::Sqlite {
            return Ok(WriteTx { tx: self.inner.write.begin().await?, _turn: None });
        }
        let turn = Some(self.inner.gate.enter(lane).await);
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let tx = self.inner.write.begin_with_options(options).await?;
        self.inner.log.grew(checkpoint::TRANSACTION);
        Ok(WriteTx { tx, _turn: turn })
    }

    /// Writes with one statement, which is a transaction by itself, waiting for its turn. Returns what it returns.
    pub(crate) async fn write(&self, lane: Lane, statement: Statement) -> Result<Vec<QueryResult>, StoreError> {
        let _turn = match self.backend() {
            DbBackend::Sqlite => Some(self.inner.gate.enter(lane).await),
            _ => None,
        };
        self.inner.log.grew(checkpoint::TRANSACTION);
        // All its rows are read: until the last one it has not ended.
        Ok(self.inner.write.query_all_raw(statement).await?)
    }

    /// How a look in a transaction keeps what it saw as it is until the end. On SQLite nobody else writes meanwhile.
    pub(crate) fn locking(&self) -> &'static str {
        if self.backend() == DbBackend::Postgres { "FOR UPDATE" } else { "" }
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.inner.write.get_database_backend()
    }

    /// The clock rows are stamped with.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.inner.read.ping().await?)
    }

    /// Whether several processes may share this database.
    pub fn is_shared(&self) -> bool {
        self.backend() == DbBackend::Postgres
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self { writer: Arc::new(Mutex::new(())), others: Arc::new(Semaphore::new(1)) }
    }
}

impl Gate {
    async fn enter(&self, lane: Lane) -> (Option<OwnedSemaphorePermit>, OwnedMutexGuard<()>) {
        let turn = match lane {
            Lane::Intake => None,
            Lane::Work => self.others.clone().acquire_owned().await.ok(),
        };
        (turn, self.writer.clone().lock_owned().await)
    }
}

/// A time as rows keep it.
pub(crate) fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

/// `lower(column)`, for comparing without regard to case.
pub(crate) fn lower(column: impl sea_orm::sea_query::IntoIden) -> Expr {
    Func::lower(Expr::col(column.into_iden())).into()
}

/// A row's time.
pub(crate) fn time(micros: i64) -> DateTime<Utc> {
    Utc.timestamp_micros(micros).single().unwrap_or_default()
}

/// One page of a list that grows, newest first, and where the next begins.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Give this id as `before` for the next page; none on the last.
    pub next: Option<i64>,
}

impl<T> Page<T> {
    /// Makes a page of at most `limit` from rows that were asked for with one to spare.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, id: impl Fn(&T) -> i64) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(id) } else { None };
        Self { items, next }
    }
}
