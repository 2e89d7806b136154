//! All SQL. Domain types go in and come out; nobody above knows which database it is.
//!
//! Reads go to a pool. Writes go through `Store::begin`: on SQLite, which has one writer, callers queue for it in
//! two lanes so that a delivery waiting for its 202 never stands behind housekeeping; on PostgreSQL they are ordinary
//! transactions. Transactions are short and nothing but SQL is awaited inside one.
//!
//! Times are stored as microseconds since 1970 (see the migrations).

use std::{
    collections::HashSet,
    ops::Deref,
    path::PathBuf,
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use chrono::{DateTime, TimeZone, Utc};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sea_query::{Expr, Func},
};
use sqlx::Connection;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use migrations::{GraphMigrator, Migrator, MigratorTrait, SchemaManager};

use crate::domain::Clock;

/// Any number nobody else uses on the same PostgreSQL server.
const MIGRATION_LOCK: i64 = 0x6e65_6374_7201;

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
pub mod outcome;
pub mod profiles;
pub mod rejected;
pub mod reviewed;
pub mod reviews;
pub mod sealed;
pub mod sessions;
mod set_back;
pub mod tasks;
pub mod upkeep;
pub mod users;
pub mod work;
pub mod writes;

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
    /// Opens `sqlite://PATH` (created if absent, locked against a second process) or `postgres://...`. Does not migrate.
    pub async fn open(url: &str, clock: Clock) -> Result<Self, StoreError> {
        if let Some(path) = sqlite_path(url) {
            Self::open_sqlite(path, clock).await
        } else {
            let mut options = ConnectOptions::new(url);
            options.max_connections(16).acquire_timeout(Duration::from_secs(4)).sqlx_logging(false);
            let pool = match Database::connect(options).await {
                // The pool only says that its time is up, not what went wrong all that time.
                Err(DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) => {
                    let tried = tokio::time::timeout(Duration::from_secs(4), sqlx::PgConnection::connect(url)).await;
                    let why = match tried {
                        Ok(Ok(_)) => "it answers only now".to_owned(),
                        Ok(Err(error)) => error.to_string(),
                        Err(_) => "it does not answer".to_owned(),
                    };
                    return Err(StoreError::Setup(format!("PostgreSQL cannot be reached: {why}")));
                }
                pool => pool?,
            };
            Ok(Self {
                inner: Arc::new(Inner {
                    read: pool.clone(),
                    write: pool,
                    gate: Gate::default(),
                    clock,
                    latest: Default::default(),
                    path: None,
                    log: Default::default(),
                    known: Default::default(),
                    lines: Default::default(),
                    _lock: None,
                }),
            })
        }
    }

    /// Opens a SQLite database that another process may be serving, or PostgreSQL: for a look from the command line.
    pub async fn open_beside(url: &str, clock: Clock) -> Result<Self, StoreError> {
        match sqlite_path(url) {
            Some(path) => Self::sqlite(path, clock, None).await,
            None => Self::open(url, clock).await,
        }
    }

    async fn open_sqlite(path: PathBuf, clock: Clock) -> Result<Self, StoreError> {
        // By whichever name: two processes must not take two locks for one file.
        let path = path.canonicalize().unwrap_or(path);
        let lock = lock_file(&path)?;
        Self::sqlite(path, clock, Some(lock)).await
    }

    async fn sqlite(path: PathBuf, clock: Clock, lock: Option<std::fs::File>) -> Result<Self, StoreError> {
        let url = format!("sqlite://{}?mode=rwc", path.display());
        let pool = |connections: u32| {
            let mut options = ConnectOptions::new(&url);
            options
                .max_connections(connections)
                .min_connections(1)
                .acquire_timeout(Duration::from_secs(4))
                // A file does not hang up.
                .test_before_acquire(false)
                .sqlx_logging(false)
                .map_sqlx_sqlite_opts(|options| {
                    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
                    options
                        .journal_mode(SqliteJournalMode::Wal)
                        .synchronous(SqliteSynchronous::Full)
                        .foreign_keys(true)
                        .pragma("wal_autocheckpoint", checkpoint::MOST.to_string())
                        .busy_timeout(Duration::from_secs(4))
                });
            options
        };
        // One for deliveries, one for everybody else: whose turn it is the gate says.
        let write = Database::connect(pool(2)).await?;
        let read = Database::connect(pool(4)).await?;
        let (known, lines, gate, log, latest) = Default::default();
        let path = Some(path);
        Ok(Self { inner: Arc::new(Inner { read, write, gate, clock, latest, path, log, known, lines, _lock: lock }) })
    }

    /// Brings the schema up to date. Each migration runs in a transaction; on PostgreSQL replicas take turns.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.migrate_with::<Migrator>(MIGRATION_LOCK).await?;
        if self.backend() == DbBackend::Postgres {
            self.migrate_with::<GraphMigrator>(graph::MIGRATION_LOCK).await?;
        }
        Ok(())
    }

    /// A schema that is newer than this version stays as it is: while replicas are replaced one by one the old ones go on,
    /// and may be started again.
    async fn migrate_with<M: MigratorTrait>(&self, lock: i64) -> Result<(), StoreError> {
        if self.is_migrated::<M>().await? {
            return Ok(());
        }
        let turn = match self.backend() {
            DbBackend::Postgres => {
                let tx = self.inner.write.begin().await?;
                tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({lock})")).await?;
                Some(tx)
            }
            _ => None,
        };
        // Whoever had the turn before may have done it all, and more.
        if !self.is_migrated::<M>().await? {
            M::up(&self.inner.write, None).await?;
        }
        if let Some(turn) = turn {
            turn.commit().await?;
        }
        Ok(())
    }

    /// Every migration this version knows, oldest first, and whether it has been applied.
    pub async fn migrations(&self) -> Result<Vec<(String, bool)>, StoreError> {
        let mut all = self.state_of::<Migrator>().await?;
        if self.backend() == DbBackend::Postgres {
            all.extend(self.state_of::<GraphMigrator>().await?);
        }
        Ok(all)
    }

    async fn state_of<M: MigratorTrait>(&self) -> Result<Vec<(String, bool)>, StoreError> {
        let table = M::migration_table_name().to_string();
        let mut applied = HashSet::new();
        if SchemaManager::new(&self.inner.read).has_table(&*table).await? {
            let sql = format!("SELECT version FROM {table}");
            for row in self.inner.read.query_all_raw(self.sql(&sql, [])).await? {
                applied.insert(row.try_get::<String>("", "version")?);
            }
        }
        let all = M::migrations();
        Ok(all.iter().map(|migration| (migration.name().to_owned(), applied.contains(migration.name()))).collect())
    }

    async fn is_migrated<M: MigratorTrait>(&self) -> Result<bool, StoreError> {
        Ok(self.state_of::<M>().await?.iter().all(|(_, applied)| *applied))
    }

    /// For reading.
    pub(crate) fn read(&self) -> &DatabaseConnection {
        &self.inner.read
    }

    /// Begins a write transaction, waiting for its turn.
    pub(crate) async fn begin(&self, lane: Lane) -> Result<WriteTx, StoreError> {
        if self.backend() != DbBackend::Sqlite {
            return Ok(WriteTx { tx: self.inner.write.begin().await?, _turn: None });
        }
        let turn = self.inner.gate.enter(lane).await;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let tx = self.inner.write.begin_with_options(options).await?;
        self.inner.log.grew(checkpoint::TRANSACTION);
        Ok(WriteTx { tx, _turn: Some(turn) })
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

/// The file behind a `sqlite:` URL.
pub fn sqlite_path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))?;
    Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
}

fn lock_file(database: &std::path::Path) -> Result<std::fs::File, StoreError> {
    let path = PathBuf::from(format!("{}.lock", database.display()));
    let fail = |error: std::io::Error| StoreError::Setup(format!("cannot open {}: {error}", path.display()));
    if let Some(parent) = database.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(fail)?;
    }
    let file = std::fs::File::options().create(true).truncate(false).write(true).open(&path).map_err(fail)?;
    file.try_lock().map_err(|_| {
        StoreError::Setup(format!(
            "another nectr is serving {}; stop it, or use PostgreSQL for several processes",
            database.display()
        ))
    })?;
    Ok(file)
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
