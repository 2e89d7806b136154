//! Opening the database: how its connections are set up, and who may open it.
//!
//! One process at a time serves a SQLite file, by whichever name it goes.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sea_orm::{ConnectOptions, Database, DbErr, RuntimeErr};
use sqlx::Connection;
use tokio::runtime::Handle;

use super::{Gate, Inner, Store, StoreError, checkpoint};
use crate::domain::Clock;

/// How long a statement waits for another process that writes to the same SQLite file.
pub(super) const BUSY: Duration = Duration::from_secs(4);

impl Store {
    /// Opens `sqlite://PATH` (created if absent, locked against a second process) or `postgres://...`. Does not migrate.
    pub async fn open(url: &str, clock: Clock) -> Result<Self, StoreError> {
        if let Some(path) = sqlite_path(url) {
            Self::open_sqlite(path, clock).await
        } else {
            let mut options = ConnectOptions::new(url);
            options
                .max_connections(16)
                .acquire_timeout(Duration::from_secs(4))
                // One that answered just now need not be asked whether it is there: that would double the round trips.
                .test_before_acquire_if_idle_for(Duration::from_millis(100))
                .sqlx_logging(false);
            let pool = match Database::connect(options).await {
                // The pool only says that its time is up, not what went wrong all that time.
                Err(DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) => return Err(unreachable(url).await),
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
                    runtime: Handle::current(),
                    _lock: None,
                }),
            })
        }
    }

    /// Opens a SQLite database that another process may be serving, or PostgreSQL: for a look from the command line.
    pub async fn open_beside(url: &str, clock: Clock) -> Result<Self, StoreError> {
        match sqlite_path(url) {
            Some(path) => Self::sqlite(path.clone(), clock, None).await.map_err(|error| unopened(&path, error)),
            None => Self::open(url, clock).await,
        }
    }

    async fn open_sqlite(path: PathBuf, clock: Clock) -> Result<Self, StoreError> {
        // By whichever name: two processes must not take two locks for one file.
        let lock = lock_file(&path.canonicalize().unwrap_or_else(|_| path.clone()))?;
        Self::sqlite(path.clone(), clock, Some(lock)).await.map_err(|error| unopened(&path, error))
    }

    pub(super) async fn sqlite(path: PathBuf, clock: Clock, lock: Option<std::fs::File>) -> Result<Self, StoreError> {
        let url = format!("sqlite://{}?mode=rwc", path.display());
        let checkpointed = lock.is_some();
        let pool = |connections: u32| {
            let mut options = ConnectOptions::new(&url);
            options
                .max_connections(connections)
                .min_connections(1)
                .acquire_timeout(Duration::from_secs(4))
                // A file does not hang up.
                .test_before_acquire(false)
                .sqlx_logging(false)
                .map_sqlx_sqlite_opts(move |options| {
                    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
                    let options = options
                        .journal_mode(SqliteJournalMode::Wal)
                        .synchronous(SqliteSynchronous::Full)
                        .foreign_keys(true)
                        .busy_timeout(BUSY);
                    if checkpointed {
                        options.pragma("wal_autocheckpoint", checkpoint::MOST.to_string())
                    } else {
                        options
                    }
                });
            options
        };
        // Whose turn it is the gate says; a second is there while the first is given back.
        private_file(&path).map_err(|error| DbErr::Custom(format!("{}: {error}", path.display())))?;
        let write = Database::connect(pool(2)).await?;
        let read = Database::connect(pool(4)).await?;
        let (known, lines, gate, log, latest) = Default::default();
        let (path, runtime) = (Some(path), Handle::current());
        let inner = Inner { read, write, gate, clock, latest, path, log, known, lines, runtime, _lock: lock };
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// Makes the file, if there is none, for nobody else to read: payloads of private repositories will be in it. What SQLite
/// puts beside it has the same mode.
fn private_file(path: &Path) -> io::Result<()> {
    let mut options = std::fs::File::options();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Says once, and of which file, why it is no database: the libraries say it in three sentences, and not of which.
fn unopened(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Database(DbErr::Conn(RuntimeErr::SqlxError(why))) => {
            StoreError::Setup(format!("{}: {why}", path.display()))
        }
        error => error,
    }
}

/// What keeps PostgreSQL from being reached.
async fn unreachable(url: &str) -> StoreError {
    let why = match tokio::time::timeout(Duration::from_secs(4), sqlx::PgConnection::connect(url)).await {
        Ok(Ok(_)) => "it answered too late".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it does not answer".to_owned(),
    };
    StoreError::Setup(format!("PostgreSQL cannot be reached: {why}"))
}

/// The file behind a `sqlite:` URL.
pub fn sqlite_path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))?;
    Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
}

fn lock_file(database: &Path) -> Result<std::fs::File, StoreError> {
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
