//! What is signed and stored, and never worked on, with the reason why.

use nectr::{
    sandbox::{Delivery, Failure},
    store::deliveries::Status,
};
use serde_json::json;

use super::{guid, last, only, opened, ready, received, reviewed, said, set_aside};
use crate::support::{SHOP, T, nectr};

/// Sends it and asserts that it is answered, stored and finished as ignored for this reason.
async fn expect_ignored(t: &T, delivery: &Delivery, event: &str, reason: &str) {
    let before = t.deliveries().await.len();
    let answer = delivery.send().await;
    let row = last(t).await;
    assert_eq!(said(&answer), set_aside(row.id.0, event, reason));
    assert_eq!(t.deliveries().await.len(), before + 1, "stored");
    assert_eq!((row.status, row.outcome.as_deref(), row.attempts), (Status::Ignored, Some(reason), 0));
    assert_eq!((row.finished_at, row.next_attempt_at), (Some(t.clock.now()), None), "finished");
    assert_eq!(row.guid, delivery.guid);
}

#[tokio::test]
async fn p48_events_nobody_uses_are_stored_finished() {
    nectr(async |t| {
        ready(t).await;
        t.github.open_issue(SHOP, "sam", "It is broken");
        let issue = only(t.github.drop_deliveries());
        let star = issue.clone().with_guid(&guid(3)).with_header("X-GitHub-Event", "star");
        expect_ignored(t, &star, "star.opened", "event_not_used").await;
        let push = include_str!("../../../fixtures/webhooks/push.json");
        let push = issue.clone().with_guid(&guid(1)).with_header("X-GitHub-Event", "push").with_body(push);
        // It is of another repository, which is said first.
        expect_ignored(t, &push, "push", "repository_mismatch").await;
        let news = issue.with_guid(&guid(2)).with_header("X-GitHub-Event", "an_event_of_2031").with_body("{}");
        expect_ignored(t, &news, "an_event_of_2031", "event_not_used").await;
        t.github.forget_calls();
        t.work().await;
        assert!(t.github.calls().is_empty(), "nothing is asked of GitHub for them");
    })
    .await;
}

#[tokio::test]
async fn p48_actions_nobody_uses_are_stored_finished() {
    nectr(async |t| {
        ready(t).await;
        let (pr, first) = opened(t);
        t.github.label(pr, "later");
        expect_ignored(t, &only(t.github.drop_deliveries()), "pull_request.labeled", "action_not_used").await;
        let mut payload = first.payload();
        for (n, action) in (1..).zip(["assigned", "auto_merge_enabled", "an_action_of_2031"]) {
            payload["action"] = json!(action);
            let delivery = first.clone().with_guid(&guid(n)).with_body(payload.to_string());
            expect_ignored(t, &delivery, &format!("pull_request.{action}"), "action_not_used").await;
        }
    })
    .await;
}

#[tokio::test]
async fn p48_p55_a_draft_is_stored_finished_until_it_is_ready() {
    nectr(async |t| {
        ready(t).await;
        let pr = t.open_pull(|pr| pr.draft().adds("a.txt", "a\n"));
        expect_ignored(t, &only(t.github.drop_deliveries()), "pull_request.opened", "draft").await;
        t.github.push(pr, |files| files.adds("b.txt", "b\n"));
        expect_ignored(t, &only(t.github.drop_deliveries()), "pull_request.synchronize", "draft").await;
        t.work().await;
        assert!(t.github.take_reviews(pr).is_empty());
        t.github.ready_for_review(pr);
        let ready = only(t.github.drop_deliveries());
        let answer = ready.send().await;
        assert_eq!(said(&answer), received(last(t).await.id.0, "pull_request.ready_for_review"));
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p36_a_body_that_is_not_of_the_event_is_stored_finished() {
    nectr(async |t| {
        ready(t).await;
        let (pr, pull) = opened(t);
        t.github.open_issue(SHOP, "sam", "It is broken");
        let issue = only(t.github.drop_deliveries());
        let as_pull = issue.with_header("X-GitHub-Event", "pull_request");
        expect_ignored(t, &as_pull, "pull_request.opened", "event_mismatch").await;
        for (n, event, reason) in
            [(1, "ping", "event_mismatch"), (2, "issues", "event_mismatch"), (3, "push", "event_not_used")]
        {
            let renamed = pull.clone().with_guid(&guid(n)).with_header("X-GitHub-Event", event);
            expect_ignored(t, &renamed, &format!("{event}.opened"), reason).await;
        }
        t.work().await;
        assert!(t.github.take_reviews(pr).is_empty(), "a captured body under another name does nothing");
    })
    .await;
}

#[tokio::test]
async fn a_payload_of_another_repository_is_stored_finished() {
    nectr(async |t| {
        ready(t).await;
        t.github.repo("acme/other");
        let (pr, delivery) = opened(t);
        let mut payload = delivery.payload();
        payload["repository"]["id"] = json!(t.github.repo_id("acme/other"));
        let same_name = delivery.clone().with_guid(&guid(1)).with_body(payload.to_string());
        expect_ignored(t, &same_name, "pull_request.opened", "repository_mismatch").await;
        payload["repository"]["full_name"] = json!("acme/other");
        let other = delivery.clone().with_guid(&guid(2)).with_body(payload.to_string());
        expect_ignored(t, &other, "pull_request.opened", "repository_mismatch").await;

        // The other way round it is a renamed repository, and the same one.
        let mut payload = delivery.payload();
        payload["repository"]["full_name"] = json!("acme/renamed");
        t.github.rename_repo(SHOP, "renamed");
        let renamed = delivery.with_body(payload.to_string());
        assert_eq!(renamed.send().await.status, Some(202));
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn what_still_comes_after_a_disconnect_is_stored_finished() {
    nectr(async |t| {
        let octavia = ready(t).await;
        let (pr, early) = opened(t);
        assert_eq!(early.send().await.status, Some(202));
        // GitHub keeps the webhook.
        t.github.fail_times(8, "DELETE /repos/*/*/hooks/*", Failure::Status(500, "{}".to_owned()));
        assert_eq!(octavia.delete(&format!("/api/v1/repos/{SHOP}/install")).await.status, 200);
        t.github.recover();
        let (late, delivery) = opened(t);
        expect_ignored(t, &delivery, "pull_request.opened", "disconnected").await;
        // What was accepted before is dropped, too.
        t.work().await;
        assert!(t.github.take_reviews(pr).is_empty() && t.github.take_reviews(late).is_empty());
        let outcomes: Vec<_> = t.deliveries().await.into_iter().map(|row| (row.status, row.outcome)).collect();
        assert_eq!(outcomes, vec![(Status::Ignored, Some("disconnected".to_owned())); 2]);
        // It is still a signature that counts.
        assert_eq!(delivery.with_header("X-Hub-Signature-256", "sha256=00").send().await.status, Some(401));
    })
    .await;
}

#[tokio::test]
async fn an_ignored_delivery_that_comes_again_is_a_duplicate() {
    nectr(async |t| {
        ready(t).await;
        let delivery = super::labeled(t);
        expect_ignored(t, &delivery, "pull_request.labeled", "action_not_used").await;
        let id = last(t).await.id.0;
        assert_eq!(said(&delivery.send().await), super::duplicate(id, "pull_request.labeled"));
        assert_eq!(t.deliveries().await.len(), 1);
    })
    .await;
}
