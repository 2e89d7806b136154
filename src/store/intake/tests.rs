//! What a group goes through on SQLite: any size, the same delivery twice, a full disk, a caller who leaves.

#![allow(clippy::unwrap_used)]

use futures_util::FutureExt;
use migrations::{Migrator, MigratorTrait};

use super::{guids::KNOWN, *};
use crate::{
    domain::Clock,
    store::{
        deliveries::DeliveryFilter,
        missed::Recorded,
        users::testing::{Fixture, delivery},
    },
};

async fn rows(store: &Store) -> i64 {
    let sql = "SELECT count(*) AS rows FROM deliveries";
    store.read().query_one_raw(store.sql(sql, [])).await.unwrap().unwrap().try_get("", "rows").unwrap()
}

async fn payload(store: &Store, accepted: Accepted) -> Vec<u8> {
    let Accepted::New(id) = accepted else { panic!("{accepted:?}") };
    store.delivery(id).await.unwrap().unwrap().payload.unpack().unwrap()
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

async fn number_of(store: &Store, sql: &str) -> i64 {
    store.read().query_one_raw(store.sql(sql, [])).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn indexed(store: &Store) -> i64 {
    number_of(store, "SELECT count(*) FROM delivery_guids").await
}

async fn index_all(store: &Store) {
    while !store.index_deliveries().await.unwrap() {}
}

/// Scattered: neighbours in time are none in the index.
fn scattered(number: u32) -> NewDelivery {
    let guid = Guid::parse(&format!("{:08x}-0000-4000-8000-000000000000", number.wrapping_mul(2_654_435_761)));
    NewDelivery { guid: guid.unwrap(), ..delivery(number as usize) }
}

#[tokio::test]
async fn a_delivery_is_known_whether_the_index_has_it_or_not_and_when_nectr_was_killed_in_between() {
    let t = Fixture::new().await;
    let all: Vec<_> = (0..700).map(scattered).collect();
    let mut ids = Vec::new();
    for group in all.chunks(7) {
        for accepted in t.store.accept(group).await.unwrap() {
            let Accepted::New(id) = accepted else { panic!("{accepted:?}") };
            ids.push(Accepted::Duplicate(id));
        }
    }
    // More than one round: of some it is known that the index has them, some are not there yet.
    let until = number_of(&t.store, "SELECT id FROM delivery_guids_until").await;
    assert!(0 < until && until < 700, "{until}");
    assert!((until..700).contains(&indexed(&t.store).await));
    let url = format!("sqlite://{}", t.store.inner.path.as_ref().unwrap().display());
    let other = || async { Store::open_beside(&url, Clock::system()).await.unwrap() };
    for store in [t.store.clone(), other().await] {
        assert_eq!(store.accept(&all).await.unwrap(), ids);
    }

    index_all(&t.store).await;
    assert_eq!(indexed(&t.store).await, 700);
    assert_eq!(number_of(&t.store, "SELECT id FROM delivery_guids_until").await, 700);
    for store in [t.store.clone(), other().await] {
        assert_eq!(store.accept(&all).await.unwrap(), ids);
    }
    assert_eq!(rows(&t.store).await, 700);
}

#[tokio::test]
async fn of_deliveries_that_are_gone_no_guid_is_kept_and_they_are_new_when_they_come_again() {
    let t = Fixture::new().await;
    let all: Vec<_> = (0..200).map(scattered).collect();
    t.store.accept(&all[..150]).await.unwrap();
    t.store.accept(&all[150..]).await.unwrap();
    let before = indexed(&t.store).await;
    assert!((1..200).contains(&before), "{before}");
    assert_eq!(t.store.erase_deliveries(InstallationId(1), 1000).await.unwrap(), 200);
    index_all(&t.store).await;
    assert_eq!(indexed(&t.store).await, 0);

    let again = t.store.accept(&all).await.unwrap();
    assert!(again.iter().all(|accepted| matches!(accepted, Accepted::New(_))), "{again:?}");
    let known = t.store.accept(&all).await.unwrap();
    assert!(known.iter().all(|accepted| matches!(accepted, Accepted::Duplicate(_))), "{known:?}");
    assert_eq!(rows(&t.store).await, 200);
}

#[tokio::test]
async fn one_delivery_is_found_by_its_guid_wherever_that_is() {
    let t = Fixture::new().await;
    let all: Vec<_> = (0..200).map(scattered).collect();
    t.store.accept(&all).await.unwrap();
    let recorded =
        |delivery: &NewDelivery| Recorded { guid: delivery.guid.clone(), github_id: 1, delivered_at: Utc::now() };
    for _ in 0..2 {
        for one in [&all[0], &all[100], &all[199]] {
            let filter = DeliveryFilter { guid: Some(one.guid.to_string().to_uppercase()), ..Default::default() };
            let found = t.store.list_deliveries(&filter, 10, None).await.unwrap().items;
            assert_eq!(found.iter().map(|row| &*row.guid).collect::<Vec<_>>(), [one.guid.as_str()]);
        }
        let asked: Vec<_> = (150..250).map(|number| recorded(&scattered(number))).collect();
        let missing = t.store.not_received(InstallationId(1), asked.clone()).await.unwrap();
        assert_eq!(missing, asked[50..]);
        index_all(&t.store).await;
    }
}

#[tokio::test]
async fn what_was_missed_and_has_arrived_is_missed_no_longer_wherever_its_guid_is() {
    let t = Fixture::new().await;
    let now = Utc::now();
    let id = InstallationId(1);
    let recorded = |number: u32| Recorded { guid: scattered(number).guid, github_id: 1, delivered_at: now };
    let missed: Vec<_> = (0..300).map(recorded).collect();
    let ago = now - chrono::TimeDelta::days(1);
    t.store.note_missed(id, &missed, now, ago).await.unwrap();
    t.store.accept(&(0..200).map(scattered).collect::<Vec<_>>()).await.unwrap();
    let missing = async || t.store.to_ask_for(id, now, 1000).await.unwrap().len();
    assert_eq!(missing().await, 100);
    index_all(&t.store).await;
    assert_eq!(missing().await, 100);
    t.store.accept(&[scattered(200)]).await.unwrap();
    assert_eq!(missing().await, 99);
    t.store.note_missed(id, &[], now, ago).await.unwrap();
    assert_eq!(number_of(&t.store, "SELECT count(*) FROM missed").await, 99);
}

#[tokio::test]
async fn what_was_stored_before_there_was_an_index_of_its_own_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("nectr.db").display());
    let store = Store::open(&url, Clock::system()).await.unwrap();
    Migrator::up(&store.inner.write, Some(5)).await.unwrap();
    for number in 0..5 {
        let sql = "INSERT INTO deliveries (installation_id, guid, event, reviews, status, attempts, fence, received_at, \
                   headers, payload) VALUES (1, $1, 'push', 0, 'done', 0, 0, 0, '{}', x'')";
        let guid = scattered(number).guid;
        store.inner.write.execute_raw(store.sql(sql, [guid.as_str().into()])).await.unwrap();
    }
    store.migrate().await.unwrap();
    let accepted = store.accept(&(0..6).map(scattered).collect::<Vec<_>>()).await.unwrap();
    assert!(matches!(accepted[..5], [Accepted::Duplicate(DeliveryId(1)), .., Accepted::Duplicate(DeliveryId(5))]));
    assert_eq!(accepted[5], Accepted::New(DeliveryId(6)));
}

/// Whatever happens, in whatever order, a delivery is there once, and known as long as it is there.
#[tokio::test]
async fn through_any_history_what_is_stored_is_what_is_known() {
    for seed in 0..12 {
        let t = Fixture::new().await;
        let url = format!("sqlite://{}", t.store.inner.path.as_ref().unwrap().display());
        let mut stores = [t.store.clone(), Store::open_beside(&url, Clock::system()).await.unwrap()];
        let mut state = seed;
        let mut below = |end: u64| {
            state = u64::wrapping_mul(state, 6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % end
        };
        let mut there = std::collections::BTreeMap::new();
        for _ in 0..80 {
            let store = &stores[usize::from(below(5) == 0)];
            match below(20) {
                0 => stores[1] = Store::open_beside(&url, Clock::system()).await.unwrap(),
                1 => drop(store.index_deliveries().await.unwrap()),
                2 => index_all(store).await,
                3 => {
                    let id = below(500) as i64;
                    let sql = "DELETE FROM deliveries WHERE id % 5 = $1 AND id < $2";
                    store.write(Lane::Work, store.sql(sql, [(id % 5).into(), id.into()])).await.unwrap();
                    there.retain(|_, known: &mut DeliveryId| known.0 % 5 != id % 5 || known.0 >= id);
                }
                4 => {
                    // A group that fails when it is nearly done.
                    let fails = "CREATE TRIGGER fails AFTER INSERT ON deliveries WHEN NEW.payload IS NOT NULL AND \
                                 (SELECT count(*) FROM deliveries) % 3 = 0 BEGIN SELECT RAISE(ABORT, 'no'); END";
                    store.write(Lane::Work, store.sql(fails, [])).await.unwrap();
                    let group: Vec<_> = (0..9).map(|at| scattered(10_000 + at)).collect();
                    assert!(store.accept(&group).await.is_err());
                    store.write(Lane::Work, store.sql("DROP TRIGGER fails", [])).await.unwrap();
                }
                _ => {
                    let group: Vec<_> = (0..=below(40)).map(|_| below(400) as u32).collect();
                    let deliveries: Vec<_> = group.iter().map(|number| scattered(*number)).collect();
                    for (number, accepted) in group.iter().zip(store.accept(&deliveries).await.unwrap()) {
                        match (accepted, there.get(number)) {
                            (Accepted::New(id), None) => drop(there.insert(*number, id)),
                            (Accepted::Duplicate(id), Some(known)) => assert_eq!(id, *known),
                            (accepted, known) => panic!("seed {seed}: {number} is {accepted:?}, but was {known:?}"),
                        }
                    }
                }
            }
            assert_eq!(rows(&stores[0]).await, there.len() as i64, "seed {seed}");
        }
        index_all(&stores[0]).await;
        assert_eq!(indexed(&stores[0]).await, there.len() as i64, "seed {seed}");
    }
}

#[tokio::test]
async fn nothing_that_is_asked_often_reads_all_deliveries() {
    let t = Fixture::new().await;
    t.store.accept(&(0..200).map(scattered).collect::<Vec<_>>()).await.unwrap();
    let (one_of, arrived) = (t.store.one_of(&["$1".to_owned(), "$2".to_owned()]), t.store.arrived());
    for sql in [
        format!("SELECT id FROM deliveries WHERE {one_of} ORDER BY id DESC LIMIT 26"),
        format!("SELECT id FROM deliveries WHERE installation_id = 1 AND {one_of}"),
        format!("DELETE FROM missed AS m WHERE installation_id = 1 AND {arrived}"),
        "SELECT id FROM deliveries WHERE installation_id IN (1, 2) ORDER BY id DESC LIMIT 26".to_owned(),
        "SELECT id FROM deliveries WHERE installation_id = 1 AND status <> 'running' LIMIT 200".to_owned(),
        KNOWN.replace('?', "$"),
    ] {
        let plan = t.store.read().query_all_raw(t.store.sql(&format!("EXPLAIN QUERY PLAN {sql}"), [])).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|step| step.try_get("", "detail").unwrap()).collect();
        let all = |step: &String| {
            let words: Vec<_> = step.split(' ').collect();
            matches!(words[..], ["SCAN", "deliveries" | "d" | "delivery_guids" | "g", ..])
        };
        assert!(!steps.iter().any(all), "{sql}: {steps:#?}");
    }
}
