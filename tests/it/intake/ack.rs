//! What a 202 is worth, and what is said when nothing can be stored.

use futures_util::future::join_all;
use nectr::{
    domain::DeliveryId,
    store::deliveries::{DeliveryFilter, Status},
};
use serde_json::json;

use super::{
    beside::{Beside, allow_connections, store_beside},
    duplicate, guid, opened, post, ready, received, reviewed, said,
};
use crate::support::{SHOP, nectr};

#[tokio::test]
async fn p28_after_the_202_the_row_is_there_for_everybody() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        let answer = delivery.send().await;
        let elsewhere = store_beside(t).await;
        let rows = elsewhere.list_deliveries(&DeliveryFilter::default(), 10, None).await.unwrap().items;
        let row = super::only(rows);
        assert_eq!(said(&answer), received(row.id.0, "pull_request.opened"));
        assert_eq!((row.guid.as_str(), row.repo.as_deref()), (delivery.guid.as_str(), Some(SHOP)));
        assert_eq!((row.status, row.attempts), (Status::Queued, 0));
        let stored = elsewhere.delivery(DeliveryId(row.id.0)).await.unwrap().unwrap();
        assert_eq!(stored.payload.unpack().unwrap(), delivery.body);
        drop(elsewhere);
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p29_while_the_database_hangs_the_sender_is_told_in_time_to_come_again() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        let mut beside = Beside::open(t).await;
        beside.hold().await;
        // GitHub would hang up after 10 s; so does the sandbox, and then there is no status.
        let copies = [delivery.clone(), delivery.clone(), delivery.clone().with_guid(&guid(1))];
        for answer in join_all(copies.iter().map(post)).await {
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(answer.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()));
            let body = answer.json();
            assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["detail"]);
        }
        beside.let_go().await;
        // What was given up may have been stored after all; sent again it is stored for certain, and once.
        let answer = delivery.send().await;
        assert!(matches!(answer.status, Some(200 | 202)), "{answer:?}");
        let rows = t.deliveries().await;
        assert_eq!(rows.iter().filter(|row| row.guid == delivery.guid).count(), 1);
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p29_a_database_that_refuses_is_503_too_and_keeps_its_reasons_to_itself() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        let mut beside = Beside::open(t).await;
        beside.run("ALTER TABLE deliveries RENAME TO elsewhere").await;
        let answer = post(&delivery).await;
        beside.run("ALTER TABLE elsewhere RENAME TO deliveries").await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()));
        let text = answer.text();
        for inside in ["table", "relation", "installations", "deliveries", "SQL", "sql"] {
            assert!(!text.contains(inside), "{text}");
        }
        assert_eq!(delivery.send().await.status, Some(202), "it is back");
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p29_a_database_that_is_down_is_503_until_it_is_up() {
    nectr(async |t| {
        // A SQLite file cannot be down.
        if !t.app.store.is_shared() {
            return;
        }
        ready(t).await;
        let (pr, delivery) = opened(t);
        allow_connections(t, false).await;
        for _ in 0..3 {
            let answer = post(&delivery).await;
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(answer.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()));
        }
        allow_connections(t, true).await;
        // Of connections that answered just now it is not asked whether they are still there: who takes one sees.
        while t.app.store.ping().await.is_err() {}
        let answer = post(&delivery).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p29_a_ping_needs_no_room_for_a_row() {
    nectr(async |t| {
        t.connected().await;
        let ping = super::only(t.github.drop_deliveries());
        let mut beside = Beside::open(t).await;
        beside.run("ALTER TABLE deliveries RENAME TO elsewhere").await;
        let answer = ping.send().await;
        beside.run("ALTER TABLE elsewhere RENAME TO deliveries").await;
        assert_eq!(said(&answer), (200, json!({"status": "pong", "event": "ping"})));
    })
    .await;
}

#[tokio::test]
async fn p30_eight_copies_at_once_are_one_row_one_202_and_one_run() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        let answers = join_all((0..8).map(|_| delivery.send())).await;
        let row = super::only(t.deliveries().await);
        let (new, again): (Vec<_>, Vec<_>) = answers.iter().map(said).partition(|(status, _)| *status == 202);
        assert_eq!(new, [received(row.id.0, "pull_request.opened")]);
        assert_eq!(again, vec![duplicate(row.id.0, "pull_request.opened"); 7]);
        reviewed(t, pr).await;
        let row = super::only(t.deliveries().await);
        assert_eq!((row.status, row.attempts), (Status::Completed, 1));
    })
    .await;
}

#[tokio::test]
async fn deliveries_of_many_pull_requests_at_once_are_all_stored() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        let burst: Vec<_> = (1..=64).map(|n| delivery.clone().with_guid(&guid(n))).collect();
        for answer in join_all(burst.iter().map(nectr::sandbox::Delivery::send)).await {
            assert_eq!(answer.status, Some(202), "{answer:?}");
        }
        let mut stored: Vec<_> = t.deliveries().await.into_iter().map(|row| row.guid).collect();
        stored.sort();
        assert_eq!(stored, burst.into_iter().map(|delivery| delivery.guid).collect::<Vec<_>>());
        reviewed(t, pr).await;
    })
    .await;
}
