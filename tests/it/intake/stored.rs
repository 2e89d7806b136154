//! What is kept of a delivery, and what is shown of it.

use nectr::store::deliveries::Status;
use serde_json::json;

use super::{labeled, last, last_id, opened, ready, reviewed, stored};
use crate::support::{SHOP, nectr};

#[tokio::test]
async fn what_is_not_ascii_is_stored_as_it_came_and_shown_as_it_is() {
    nectr(async |t| {
        let octavia = ready(t).await;
        let title = "na\u{ef}ve \u{1f469}\u{200d}\u{1f680} \u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{202e}txt";
        let pr = t.open_pull(|pr| pr.title(title).adds("a.txt", "a\n"));
        let delivery = super::only(t.github.drop_deliveries());
        assert_eq!(delivery.send().await.status, Some(202));
        let id = last_id(t).await;
        assert_eq!(stored(t, id).await, delivery.body);
        let shown = octavia.see(&format!("/api/v1/deliveries/{id}")).await;
        assert_eq!(shown["payload"]["pull_request"]["title"], title);
        assert_eq!(shown["payload"], delivery.payload());
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn of_the_headers_those_that_tell_something_are_kept_and_nothing_that_proves_something() {
    nectr(async |t| {
        let octavia = ready(t).await;
        let mut delivery = labeled(t);
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (name, value) in [
            ("traceparent", trace),
            ("X-GitHub-Enterprise-Version", "3.14.0"),
            ("Authorization", "Bearer hunter2"),
            ("Cookie", "access_token=hunter2"),
            ("X-Hub-Signature", "sha1=hunter2"),
            ("X-Forwarded-For", "203.0.113.7"),
            ("X-Secret", "hunter2"),
        ] {
            delivery = super::and_header(delivery, name, value);
        }
        assert_eq!(delivery.send().await.status, Some(200));
        let shown = octavia.see(&format!("/api/v1/deliveries/{}", last_id(t).await)).await;
        let repo = t.github.repo_id(SHOP).to_string();
        assert_eq!(
            shown["headers"],
            json!({
                "content-type": "application/json",
                "traceparent": trace,
                "user-agent": "GitHub-Hookshot/5a4db0c",
                "x-github-delivery": delivery.guid,
                "x-github-enterprise-version": "3.14.0",
                "x-github-event": "pull_request",
                "x-github-hook-id": delivery.hook_id.to_string(),
                "x-github-hook-installation-target-id": repo,
                "x-github-hook-installation-target-type": "repository",
            })
        );
    })
    .await;
}

#[tokio::test]
async fn what_a_delivery_is_about_is_in_its_row() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        assert_eq!(delivery.send().await.status, Some(202));
        let row = last(t).await;
        assert_eq!((row.guid.as_str(), row.event.as_str()), (delivery.guid.as_str(), "pull_request"));
        assert_eq!((row.action.as_deref(), row.repo.as_deref()), (Some("opened"), Some(SHOP)));
        assert_eq!((row.repo_id, row.pr_number), (Some(pr.repo), Some(pr.number)));
        assert_eq!((row.status, row.attempts, row.received_at), (Status::Queued, 0, t.clock.now()));
        t.work().await;
        assert_eq!(t.take_review(pr).commit, t.github.head_of(pr));
    })
    .await;
}
