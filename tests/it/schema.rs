//! The schema while versions change: several processes migrate at once, and old versions go on beside new ones.

use nectr::{domain::Clock, store::Store};
use sea_orm::ConnectionTrait;

use crate::support::database::{Database, noon};

#[tokio::test]
async fn any_number_of_processes_may_start_at_once_on_an_empty_database() {
    let database = Database::fresh().await;
    // A SQLite database has one process.
    let processes = if database.is_postgres() { 4 } else { 1 };
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..processes {
        let url = database.url.clone();
        starting.spawn(async move {
            let store = Store::open(&url, Clock::manual(noon())).await.unwrap();
            store.migrate().await.unwrap();
            assert!(store.migrations().await.unwrap().iter().all(|(_, applied)| *applied));
        });
    }
    while let Some(started) = starting.join_next().await {
        started.unwrap();
    }
    database.remove().await;
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_on_the_machine_may_read_a_database_that_is_a_file() {
    use std::os::unix::fs::PermissionsExt;

    let database = Database::fresh().await;
    let Some(file) = database.url.strip_prefix("sqlite://").map(std::path::PathBuf::from) else {
        return database.remove().await;
    };
    let _store = database.store(&Clock::manual(noon())).await;
    let mut seen = 0;
    for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if !name.ends_with(".lock") {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 2, "the database and its log");
}

#[tokio::test]
async fn a_version_that_is_older_than_the_schema_starts_again_and_works() {
    let database = Database::fresh().await;
    let clock = Clock::manual(noon());
    drop(database.store(&clock).await);
    let connection = sea_orm::Database::connect(&database.url).await.unwrap();
    let later = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_of_a_later_version', 0)";
    connection.execute_unprepared(later).await.unwrap();
    connection.close().await.unwrap();
    let store = database.store(&clock).await;
    assert!(store.migrations().await.unwrap().iter().all(|(_, applied)| *applied), "of those it knows");
    assert!(store.claim().await.unwrap().is_none());
    drop(store);
    database.remove().await;
}
