//! Somebody else with a connection to the same database.

use nectr::store::{Store, sqlite_path};
use secrecy::ExposeSecret;
use sqlx::{
    Connection, Executor, PgConnection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use crate::support::T;

/// Another connection.
pub enum Beside {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A delivery that was signed but malformed.
#[derive(Debug)]
pub struct Rejected {
    pub installation_id: i64,
    pub reason: String,
    pub headers: String,
    body: Vec<u8>,
}

impl Rejected {
    /// The bytes as they came.
    pub fn body(&self) -> Vec<u8> {
        zstd::stream::decode_all(self.body.as_slice()).unwrap()
    }
}

impl Beside {
    pub async fn open(t: &T) -> Self {
        let url = url(t);
        match sqlite_path(&url) {
            Some(path) => {
                let options = SqliteConnectOptions::new().filename(path).journal_mode(SqliteJournalMode::Wal);
                Self::Sqlite(SqliteConnection::connect_with(&options).await.unwrap())
            }
            None => Self::Postgres(PgConnection::connect(&url).await.unwrap()),
        }
    }

    /// From now on nobody else can store a delivery, until [`Beside::let_go`].
    pub async fn hold(&mut self) {
        match self {
            Self::Sqlite(_) => self.run("BEGIN IMMEDIATE").await,
            Self::Postgres(_) => self.run("BEGIN; LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE").await,
        }
    }

    pub async fn let_go(&mut self) {
        self.run("ROLLBACK").await;
    }

    pub async fn run(&mut self, sql: &'static str) {
        match self {
            Self::Sqlite(connection) => connection.execute(sqlx::raw_sql(sql)).await.map(drop),
            Self::Postgres(connection) => connection.execute(sqlx::raw_sql(sql)).await.map(drop),
        }
        .unwrap();
    }

    /// The one number a statement asks for.
    pub async fn number(&mut self, sql: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(sql);
        match self {
            Self::Sqlite(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
        }
        .unwrap()
    }

    /// What was kept of malformed deliveries, oldest first.
    pub async fn rejected(&mut self) -> Vec<Rejected> {
        const SQL: &str = "SELECT installation_id, reason, headers, body FROM rejected ORDER BY id";
        type Row = (i64, String, String, Vec<u8>);
        let rows: Vec<Row> = match self {
            Self::Sqlite(connection) => sqlx::query_as(SQL).fetch_all(connection).await,
            Self::Postgres(connection) => sqlx::query_as(SQL).fetch_all(connection).await,
        }
        .unwrap();
        let row = |(installation_id, reason, headers, body)| Rejected { installation_id, reason, headers, body };
        rows.into_iter().map(row).collect()
    }
}

/// Closes every connection to the database and lets none in, or lets them in again. PostgreSQL only.
pub async fn allow_connections(t: &T, allow: bool) {
    let mut url = url::Url::parse(&url(t)).unwrap();
    let name = url.path().trim_start_matches('/').to_owned();
    // Nobody can lock the door of the room they are in.
    url.set_path("postgres");
    let mut server = PgConnection::connect(url.as_str()).await.unwrap();
    let door = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allow}");
    let out = format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}' AND NOT {allow}"
    );
    for sql in [door, out] {
        server.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
    }
    server.close().await.unwrap();
}

/// The database, opened a second time, as the command line does.
pub async fn store_beside(t: &T) -> Store {
    Store::open_beside(&url(t), t.clock.clone()).await.unwrap()
}

fn url(t: &T) -> String {
    t.app.config.database_url.expose_secret().to_owned()
}
