//! The same again: redeliveries, replays, copies through other webhooks, and the one effect they all have.

use std::time::Duration;

use nectr::{
    sandbox::{Delivery, Failure, Pr},
    store::{deliveries::Status, lease::End},
};
use serde_json::json;

use super::{duplicate, guid, last, only, opened, ready, received, reviewed, said};
use crate::support::{Person, SHOP, T, hours, nectr};

/// Reading the pull request.
const READ: &str = "GET /repos/*/*/pulls/*";

/// A definite no, which counts as an attempt.
fn no_luck() -> Failure {
    Failure::Status(418, json!({"message": "No luck"}).to_string())
}

/// A new pull request whose delivery was sent as GitHub sends it; returns its answer's id.
async fn delivered(t: &T) -> (Pr, Delivery, i64) {
    let pr = t.open_pull(|pr| pr.adds("src/lib.rs", "pub fn one() -> u32 {\n    1\n}\n"));
    let sent = only(t.deliver().await);
    let id = last(t).await.id.0;
    assert_eq!(said(&sent.answer), received(id, "pull_request.opened"));
    (pr, sent.delivery, id)
}

/// The button on GitHub.
async fn redeliver(t: &T, delivery: &Delivery) -> (u16, serde_json::Value) {
    said(&only(t.github.redeliver(&delivery.guid).await).answer)
}

#[tokio::test]
async fn p31_a_redelivery_after_success_changes_nothing() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery, id) = delivered(t).await;
        reviewed(t, pr).await;
        let before = last(t).await;
        t.pass(hours(1));
        t.github.forget_calls();
        for _ in 0..3 {
            assert_eq!(redeliver(t, &delivery).await, duplicate(id, "pull_request.opened"));
        }
        t.work().await;
        let after = only(t.deliveries().await);
        assert_eq!(format!("{after:?}"), format!("{before:?}"));
        assert!(t.github.calls().is_empty(), "GitHub is not asked again");
    })
    .await;
}

#[tokio::test]
async fn p31_a_redelivery_of_a_dead_one_begins_anew() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery, id) = delivered(t).await;
        t.github.fail_times(8, READ, no_luck());
        for _ in 0..8 {
            t.work().await;
            t.pass(hours(2));
        }
        let dead = last(t).await;
        assert_eq!((dead.status, dead.attempts), (Status::Dead, 8));
        assert!(dead.last_error.is_some_and(|error| error.contains("No luck")));

        assert_eq!(redeliver(t, &delivery).await, received(id, "pull_request.opened"));
        let queued = last(t).await;
        assert_eq!((queued.status, queued.attempts), (Status::Queued, 0));
        reviewed(t, pr).await;
        let done = only(t.deliveries().await);
        assert_eq!((done.status, done.attempts, done.outcome.as_deref()), (Status::Completed, 1, Some("reviewed")));
    })
    .await;
}

#[tokio::test]
async fn p31_a_redelivery_of_a_failed_one_is_tried_now() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery, id) = delivered(t).await;
        t.github.fail_next(READ, no_luck());
        t.work().await;
        let failed = last(t).await;
        assert_eq!((failed.status, failed.attempts), (Status::Failed, 1));
        assert!(failed.next_attempt_at.is_some_and(|at| at > t.clock.now()));

        assert_eq!(redeliver(t, &delivery).await, duplicate(id, "pull_request.opened"));
        // No time has passed.
        reviewed(t, pr).await;
        let done = only(t.deliveries().await);
        assert_eq!((done.status, done.attempts), (Status::Completed, 2), "attempts go on");
    })
    .await;
}

#[tokio::test]
async fn p31_a_redelivery_of_a_parked_one_is_tried_now() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery, id) = delivered(t).await;
        t.github.outage(true);
        t.work().await;
        let parked = last(t).await;
        assert_eq!((parked.status, parked.attempts), (Status::Failed, 0));
        t.github.outage(false);
        assert_eq!(redeliver(t, &delivery).await, duplicate(id, "pull_request.opened"));
        // The client itself may still keep its distance from GitHub.
        t.pass(Duration::from_secs(1));
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p32_a_redelivery_while_it_runs_leaves_the_running_attempt_alone() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery, id) = delivered(t).await;
        let running = t.app.store.claim().await.unwrap().unwrap();
        assert_eq!(running.lease.id, id);
        assert_eq!(redeliver(t, &delivery).await, duplicate(id, "pull_request.opened"));
        t.app.store.still_mine(running.lease).await.unwrap();
        let row = last(t).await;
        assert_eq!((row.status, row.attempts), (Status::Running, 1));
        t.work().await;
        assert!(t.github.take_reviews(pr).is_empty(), "nobody else runs it");
        t.app.store.finish(running.lease, &End::HandedBack).await.unwrap();
        reviewed(t, pr).await;
    })
    .await;
}

/// Two people who connected the shop.
async fn two(t: &T) -> [(Person, i64); 2] {
    let (octavia, ada) = (t.sign_in("octavia").await, t.sign_in("ada").await);
    let ids = [octavia.connect(SHOP).await, ada.connect(SHOP).await];
    t.deliver().await;
    [(octavia, ids[0]), (ada, ids[1])]
}

/// Asserts that each of the two sees one delivery, their own, and that there is one review between them.
async fn expect_two_inboxes_and_one_review(t: &T, people: &[(Person, i64); 2], guids: [&str; 2], pr: Pr) {
    reviewed(t, pr).await;
    let mut outcomes = Vec::new();
    let mut seen = Vec::new();
    for ((person, installation), guid) in people.iter().zip(guids) {
        let listed = person.see("/api/v1/deliveries").await;
        let items = listed["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{listed}");
        assert_eq!((&items[0]["guid"], &items[0]["status"]), (&json!(guid), &json!("completed")));
        let id = items[0]["id"].as_i64().unwrap();
        let rows = t.deliveries().await;
        assert!(rows.iter().any(|row| row.id.0 == id && row.installation.0 == *installation));
        outcomes.push(items[0]["outcome"].as_str().unwrap().to_owned());
        seen.push(id);
    }
    outcomes.sort();
    assert_eq!(outcomes, ["already_reviewed", "reviewed"]);
    let (octavia, ada) = (&people[0].0, &people[1].0);
    assert_eq!(octavia.get(&format!("/api/v1/deliveries/{}", seen[1])).await.status, 404);
    assert_eq!(ada.get(&format!("/api/v1/deliveries/{}", seen[0])).await.status, 404);
}

#[tokio::test]
async fn p33_the_same_guid_through_two_connections_is_two_rows_and_one_review() {
    nectr(async |t| {
        let people = two(t).await;
        let pr = t.open_pull(|pr| pr.adds("a.txt", "a\n"));
        let sent = t.deliver().await;
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0].delivery.guid, sent[1].delivery.guid, "GitHub names the event, not the webhook");
        assert!(sent.iter().all(|sent| sent.answer.status == Some(202)), "{sent:#?}");
        let guid = sent[0].delivery.guid.clone();
        expect_two_inboxes_and_one_review(t, &people, [&guid, &guid], pr).await;
    })
    .await;
}

#[tokio::test]
async fn p34_two_guids_of_one_event_are_two_rows_and_one_review() {
    nectr(async |t| {
        let people = two(t).await;
        let pr = t.open_pull(|pr| pr.adds("a.txt", "a\n"));
        let [first, second]: [Delivery; 2] = t.github.drop_deliveries().try_into().unwrap();
        let second = second.with_guid(&guid(2));
        assert_eq!(first.send().await.status, Some(202));
        assert_eq!(second.send().await.status, Some(202));
        expect_two_inboxes_and_one_review(t, &people, [&first.guid, &second.guid], pr).await;
    })
    .await;
}

#[tokio::test]
async fn p35_a_tenant_who_uses_anothers_guid_first_suppresses_nothing() {
    nectr(async |t| {
        ready(t).await;
        t.github.repo("ada/own").write("nectr-bot");
        let ada = t.sign_in("ada").await;
        ada.connect("ada/own").await;
        t.deliver().await;
        let (pr, shop) = opened(t);
        let own = t.github.open_pull("ada/own", |pr| pr.adds("a.txt", "a\n"));
        let forged = only(t.github.drop_deliveries()).with_guid(&shop.guid);
        let first = said(&forged.send().await);
        let forged_id = last(t).await.id.0;
        assert_eq!(first, received(forged_id, "pull_request.opened"));
        let second = said(&shop.send().await);
        let id = last(t).await.id.0;
        assert_eq!(second, received(id, "pull_request.opened"));
        assert_ne!(id, forged_id);
        t.work().await;
        t.take_review(pr);
        t.take_review(own);
        assert_eq!(said(&shop.send().await), duplicate(id, "pull_request.opened"));
        assert_eq!(said(&forged.send().await), duplicate(forged_id, "pull_request.opened"));
    })
    .await;
}

#[tokio::test]
async fn p36_a_captured_body_under_a_new_guid_has_no_second_effect() {
    nectr(async |t| {
        ready(t).await;
        let (pr, captured) = opened(t);
        assert_eq!(captured.send().await.status, Some(202));
        reviewed(t, pr).await;
        for n in 1..=3 {
            assert_eq!(captured.clone().with_guid(&guid(n)).send().await.status, Some(202));
        }
        t.work().await;
        assert!(t.github.take_reviews(pr).is_empty());
        let rows = t.deliveries().await;
        let outcomes: Vec<_> = rows.iter().map(|row| row.outcome.as_deref().unwrap()).collect();
        assert_eq!(outcomes, ["already_reviewed", "already_reviewed", "already_reviewed", "reviewed"]);
    })
    .await;
}

#[tokio::test]
async fn p37_a_month_old_body_is_judged_by_what_is_so_now() {
    nectr(async |t| {
        ready(t).await;
        let (pr, old) = opened(t);
        assert_eq!(old.send().await.status, Some(202));
        reviewed(t, pr).await;
        t.github.push(pr, |files| files.adds("b.txt", "b\n"));
        t.settle().await;
        assert_eq!(t.take_review(pr).commit, t.github.head_of(pr));

        t.pass(hours(30 * 24));
        assert_eq!(old.clone().with_guid(&guid(1)).send().await.status, Some(202), "stored");
        t.work().await;
        assert!(t.github.take_reviews(pr).is_empty(), "the present head has its review");
        assert_eq!(last(t).await.status, Status::Superseded);

        t.github.close(pr);
        t.settle().await;
        assert_eq!(old.clone().with_guid(&guid(2)).send().await.status, Some(202));
        t.work().await;
        assert!(t.github.take_reviews(pr).is_empty(), "it is closed");
        assert_eq!(last(t).await.outcome.as_deref(), Some("cancelled"));
    })
    .await;
}

#[tokio::test]
async fn p37_a_stale_body_does_not_change_what_is_known_of_a_pull_request() {
    nectr(async |t| {
        let octavia = ready(t).await;
        let (pr, old) = opened(t);
        t.github.close(pr);
        t.settle().await;
        let state = format!("/api/v1/repos/{SHOP}/pulls/{}/state", pr.number);
        assert_eq!(octavia.see(&state).await["state"], "closed");
        assert_eq!(old.send().await.status, Some(202));
        assert_eq!(octavia.see(&state).await["state"], "closed", "older news never overwrites newer");
        t.work().await;
        assert_eq!(octavia.see(&state).await["state"], "closed");
        assert!(t.github.take_reviews(pr).is_empty());
    })
    .await;
}
