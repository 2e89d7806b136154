//! How the databases find what is asked for again and again, however much is stored and however much waits; and where it lies.

use bytes::Bytes;
use nectr::{
    domain::Clock,
    store::{Store, intake::NewDelivery},
};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::support::{
    database::{Database, noon},
    delivery::opened,
};

async fn put(store: &Store, pulls: std::ops::Range<i64>) {
    let deliveries: Vec<_> = pulls.map(opened).collect();
    store.accept(&deliveries).await.unwrap();
}

async fn plan(database: &DatabaseConnection, postgres: bool, sql: &str) -> Vec<String> {
    let (explain, column) = if postgres { ("EXPLAIN", "QUERY PLAN") } else { ("EXPLAIN QUERY PLAN", "detail") };
    let statement = Statement::from_string(database.get_database_backend(), format!("{explain} {sql}"));
    let steps = database.query_all_raw(statement).await.unwrap();
    steps.iter().map(|step| step.try_get("", column).unwrap()).collect()
}

#[tokio::test]
async fn a_claim_sorts_nothing_even_for_a_database_that_has_only_ever_seen_the_queue_empty() {
    let database = Database::fresh().await;
    let store = database.store(&Clock::manual(noon())).await;
    let mut options = sea_orm::ConnectOptions::new(&database.url);
    options.max_connections(1);
    let beside = sea_orm::Database::connect(options).await.unwrap();

    put(&store, 0..200).await;
    beside.execute_unprepared("UPDATE deliveries SET status = 'completed', due_at = NULL").await.unwrap();
    beside.execute_unprepared("ANALYZE").await.unwrap();
    put(&store, 200..400).await;
    if database.is_postgres() {
        // A table this small is read as a whole otherwise.
        beside.execute_unprepared("SET enable_seqscan = off").await.unwrap();
    }
    let steps = plan(&beside, database.is_postgres(), &store.due_sql().replace("$1", &i64::MAX.to_string())).await;
    for index in ["deliveries_due", "tasks_due"] {
        assert!(steps.iter().any(|step| step.contains(index)), "{steps:#?}");
    }
    assert!(!steps.iter().any(|step| step.contains("Sort") || step.contains("TEMP B-TREE")), "{steps:#?}");

    drop(store);
    beside.close().await.unwrap();
    database.remove().await;
}

/// (SQLite has no other place for it.)
#[tokio::test]
async fn a_payload_of_usual_size_lies_in_its_row_on_postgresql() {
    let database = Database::fresh().await;
    if database.is_postgres() {
        let store = database.store(&Clock::manual(noon())).await;
        let beside = sea_orm::Database::connect(&database.url).await.unwrap();
        // As many bytes of noise, which nothing makes smaller.
        let mut number = 1_u64;
        let mut noise = |bytes: usize| -> Bytes {
            (0..bytes)
                .map(|_| {
                    number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (number >> 56) as u8
                })
                .collect()
        };
        for (pull, (bytes, aside)) in [(3_500, false), (9_000, true)].into_iter().enumerate() {
            store.accept(&[NewDelivery { payload: noise(bytes), ..opened(pull as i64) }]).await.unwrap();
            let sql = "SELECT pg_relation_size(reltoastrelid) > 0 AS aside FROM pg_class WHERE relname = 'deliveries'";
            let statement = Statement::from_string(beside.get_database_backend(), sql);
            let row = beside.query_one_raw(statement).await.unwrap().unwrap();
            assert_eq!(row.try_get::<bool>("", "aside").unwrap(), aside, "{bytes}");
        }
        drop(store);
        beside.close().await.unwrap();
    }
    database.remove().await;
}
