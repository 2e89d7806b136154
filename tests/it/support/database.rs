//! A fresh database for one test: a SQLite file, or a database of its own on the server `TEST_DATABASE_URL` names.

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use nectr::{domain::Clock, store::Store};
use sqlx::{ConnectOptions, Connection, Executor, postgres::PgConnectOptions};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Dropped with the test: a SQLite file goes with its folder, a PostgreSQL database with [`Database::remove`].
pub struct Database {
    pub url: String,
    /// The PostgreSQL server it is on.
    server: Option<String>,
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    pub async fn fresh() -> Self {
        match std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty()) {
            None => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join("nectr.db").display());
                Self { url, server: None, _folder: Some(folder) }
            }
            Some(server) => Self::fresh_on(&server).await,
        }
    }

    /// On this PostgreSQL server.
    pub async fn fresh_on(server: &str) -> Self {
        let name = format!(
            "nectr_{}_{}_{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed),
            Utc::now().timestamp_micros()
        );
        execute(server, &format!("CREATE DATABASE {name}")).await;
        let mut url = url::Url::parse(server).unwrap();
        url.set_path(&name);
        Self { url: url.into(), server: Some(server.to_owned()), _folder: None }
    }

    pub fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }

    /// Opened and migrated.
    pub async fn store(&self, clock: &Clock) -> Store {
        let store = Store::open(&self.url, clock.clone()).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// The code graph is lost, with everything in it. Nobody may be using it.
    pub async fn lose_graph(&self) {
        if self.is_postgres() {
            let tables = ["repositories", "files", "pulls", "touches", "issues", "closes", "contributors", "histories"];
            let tables = tables.map(|table| format!("graph_{table}")).join(", ");
            return execute(&self.url, &format!("TRUNCATE {tables}")).await;
        }
        let file = self.url.trim_start_matches("sqlite://").replace("nectr.db", "nectr-graph.db");
        for end in ["", "-wal", "-shm"] {
            // The latter two are only there while it is used.
            let gone = std::fs::remove_file(format!("{file}{end}"));
            assert!(gone.is_ok() || !end.is_empty(), "{gone:?}");
        }
    }

    /// Takes a PostgreSQL database away again.
    pub async fn remove(&self) {
        if let Some(server) = &self.server {
            let name = url::Url::parse(&self.url).unwrap().path().trim_start_matches('/').to_owned();
            execute(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    }
}

async fn execute(url: &str, statement: &str) {
    let options: PgConnectOptions = url.parse().unwrap();
    let mut connection = options.connect().await.expect("TEST_DATABASE_URL names a PostgreSQL server that answers");
    connection.execute(sqlx::AssertSqlSafe(statement.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

/// A moment to start from.
pub fn noon() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}
