//! What a group goes through on SQLite: any size, the same delivery twice, a full disk, a caller who leaves.

#![allow(clippy::unwrap_used)]

use futures_util::FutureExt;

use super::*;
use crate::{
    domain::Clock,
    store::users::testing::{Fixture, delivery},
};

async fn rows(store: &Store) -> i64 {
    let sql = "SELECT count(*) AS rows FROM deliveries";
    store.read().query_one_raw(store.sql(sql, [])).await.unwrap().unwrap().try_get("", "rows").unwrap()
}

async fn payload(store: &Store, accepted: Accepted) -> Vec<u8> {
    let Accepted::New(id) = accepted else { panic!("{accepted:?}") };
    store.delivery(id).await.unwrap().unwrap().payload
}

#[tokio::test]
async fn groups_of_any_size_are_stored_once_and_answered_in_their_order() {
    let t = Fixture::new().await;
    let mut next = 0;
    for size in [1, 2, 3, 5, 8, 13, GROUP, GROUP + 1] {
        let batch: Vec<_> = (next..next + size).map(delivery).collect();
        let accepted = t.store.accept(&batch).await.unwrap();
        assert_eq!(accepted.len(), size);
        for at in [0, size / 2, size - 1] {
            assert_eq!(payload(&t.store, accepted[at]).await, (next + at).to_string().as_bytes());
        }
        next += size;
    }
    assert_eq!(rows(&t.store).await, next as i64);
    assert!(t.store.accept(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_known_and_what_stands_twice_in_a_group_is_told_from_what_is_new() {
    let t = Fixture::new().await;
    let [Accepted::New(first)] = t.store.accept(&[delivery(1)]).await.unwrap()[..] else { panic!() };
    let accepted = t.store.accept(&[delivery(2), delivery(1), delivery(3), delivery(2)]).await.unwrap();
    let [Accepted::New(second), known, Accepted::New(third), again] = accepted[..] else { panic!("{accepted:?}") };
    assert_eq!((known, again), (Accepted::Duplicate(first), Accepted::Duplicate(second)));
    assert!(first < second && second < third);
    assert_eq!(rows(&t.store).await, 3);
}

#[tokio::test]
async fn ids_that_somebody_else_took_are_left_to_them() {
    let t = Fixture::new().await;
    let url = format!("sqlite://{}", t.store.inner.path.as_ref().unwrap().display());
    let beside = Store::open_beside(&url, Clock::system()).await.unwrap();
    for number in 0..6 {
        let (mine, other) = (delivery(number * 2), delivery(number * 2 + 1));
        assert_eq!(
            payload(&t.store, t.store.accept(&[mine]).await.unwrap()[0]).await,
            (number * 2).to_string().as_bytes()
        );
        assert!(matches!(beside.accept(&[other]).await.unwrap()[..], [Accepted::New(_)]));
    }
    assert_eq!(rows(&t.store).await, 12);
}

#[tokio::test]
async fn deliveries_go_to_the_file_that_the_url_means() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/with%20a%20space.db", folder.path().display());
    let store = Store::open(&url, Clock::system()).await.unwrap();
    store.migrate().await.unwrap();
    let accepted = store.accept(&[delivery(1)]).await.unwrap();
    assert_eq!(payload(&store, accepted[0]).await, b"1");
    assert!(folder.path().join("with a space.db").exists());
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_accepted_and_all_is_as_before_when_there_is_room() {
    let t = Fixture::new().await;
    t.store.accept(&[delivery(0)]).await.unwrap();
    t.store.inner.lines.sqlite.lock().await.pragma("PRAGMA max_page_count = 1");
    let mut batch: Vec<_> = (1..50).map(delivery).collect();
    for (at, delivery) in batch.iter_mut().enumerate() {
        // Nothing in it repeats, so it stays as large as it is.
        delivery.payload = (0..20_000_u32).map(|byte| (byte.wrapping_mul(2_654_435_761) >> (at % 24)) as u8).collect();
    }
    let error = t.store.accept(&batch).await.unwrap_err().to_string();
    assert!(error.contains("full"), "{error}");
    assert_eq!(rows(&t.store).await, 1);

    let pool = t.store.inner.write.get_sqlite_connection_pool();
    for mut connection in [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()] {
        sqlx::query("PRAGMA max_page_count = 1073741823").execute(&mut *connection).await.unwrap();
    }
    let accepted = t.store.accept(&batch).await.unwrap();
    assert!(accepted.iter().all(|accepted| matches!(accepted, Accepted::New(_))), "{accepted:?}");
    assert_eq!(rows(&t.store).await, 50);
}

#[tokio::test]
async fn a_caller_who_leaves_in_the_middle_stands_in_nobodys_way() {
    let t = Fixture::new().await;
    for number in 0..20 {
        // Begun, and dropped wherever it has come to.
        let gone = t.store.accept(&[delivery(number * 2)]).now_or_never();
        assert!(gone.is_none_or(|accepted| accepted.is_ok()));
        assert_eq!(t.store.accept(&[delivery(number * 2 + 1)]).await.unwrap().len(), 1);
    }
    let all: Vec<_> = (0..40).map(delivery).collect();
    assert_eq!(t.store.accept(&all).await.unwrap().len(), 40);
    assert_eq!(rows(&t.store).await, 40);
}
