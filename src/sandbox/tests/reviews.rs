//! What GitHub demands of reviews.

use serde_json::json;

use super::Acme;
use crate::sandbox::ReviewState;

#[tokio::test]
async fn a_review_is_pending_until_its_author_submits_it_and_then_final() {
    let acme = Acme::new().await;
    let created = acme.review(json!([{"path": "src/lib.rs", "line": 3, "body": "hm"}])).await.json();
    assert_eq!(created["state"], "PENDING");
    assert!(created.get("submitted_at").is_none());
    let review = acme.pull(&format!("/reviews/{}", created["id"]));

    assert_eq!(acme.get("octavia", &review).await.status, 404, "a pending review is its author's secret");
    assert_eq!(acme.get("octavia", &acme.pull("/reviews")).await.json(), json!([]));
    assert_eq!(acme.get("nectr-bot", &acme.pull("/reviews")).await.json()[0]["id"], created["id"]);
    assert!(acme.github.take_reviews(acme.pr).is_empty());
    assert_eq!(acme.github.pending_reviews(acme.pr).len(), 1);

    let again = acme.review(json!([])).await;
    assert_eq!(again.status, 422);
    assert!(again.text().contains("User can only have one pending review per pull request"));

    let events = format!("{review}/events");
    assert_eq!(acme.post("nectr-bot", &events, json!({"event": "MAYBE"})).await.status, 422);
    let submitted = acme.post("nectr-bot", &events, json!({"event": "COMMENT", "body": "done"})).await;
    assert_eq!(submitted.json()["state"], "COMMENTED");
    assert_eq!(acme.post("nectr-bot", &events, json!({"event": "COMMENT"})).await.status, 422, "only once");
    assert_eq!(acme.ask("nectr-bot", "DELETE", &review).send().await.unwrap().status, 422);

    assert_eq!(acme.github.unread_reviews().len(), 1);
    let taken = acme.github.take_reviews(acme.pr);
    assert_eq!((taken[0].state, taken[0].body.as_str(), taken[0].comments.len()), (ReviewState::Commented, "done", 1));
    assert!(acme.github.unread_reviews().is_empty());
    assert!(acme.github.take_reviews(acme.pr).is_empty());
}

#[tokio::test]
async fn nobody_judges_their_own_pull_request_but_may_comment() {
    let acme = Acme::new().await;
    let path = acme.pull("/reviews");
    for event in ["APPROVE", "REQUEST_CHANGES"] {
        let answer = acme.post("sam", &path, json!({"event": event, "body": "mine"})).await;
        assert_eq!(answer.status, 422, "{event}");
        assert!(answer.text().contains("your own pull request"));
    }
    assert_eq!(acme.post("sam", &path, json!({"event": "COMMENT", "body": "mine"})).await.status, 200);
}

#[tokio::test]
async fn what_is_not_an_approval_needs_words_and_not_too_many() {
    let acme = Acme::new().await;
    let path = acme.pull("/reviews");
    assert_eq!(acme.post("nectr-bot", &path, json!({"event": "REQUEST_CHANGES"})).await.status, 422);
    assert_eq!(acme.post("nectr-bot", &path, json!({"event": "COMMENT", "body": " "})).await.status, 422);
    let fits = "é".repeat(65_536);
    assert_eq!(
        acme.post("nectr-bot", &path, json!({"event": "COMMENT", "body": format!("{fits}é")})).await.status,
        422
    );
    assert_eq!(acme.post("nectr-bot", &path, json!({"event": "COMMENT", "body": fits})).await.status, 200);
    assert_eq!(acme.post("nectr-bot", &path, json!({"event": "APPROVE"})).await.status, 200);
    assert_eq!(acme.github.take_reviews(acme.pr).len(), 2);
}

#[tokio::test]
async fn a_review_is_about_a_commit_of_the_pull_request() {
    let acme = Acme::new().await;
    let path = acme.pull("/reviews");
    let old = acme.github.head_of(acme.pr);
    let new = acme.github.push(acme.pr, |files| files.adds("new.rs", "one\n"));
    let on = |commit: &str| json!({"commit_id": commit, "body": "x", "comments": [{"path": "new.rs", "line": 1, "body": "y"}]});
    assert_eq!(acme.post("nectr-bot", &path, on("0123")).await.status, 422);
    let early = acme.post("nectr-bot", &path, on(&old)).await;
    assert!(early.text().contains("path is invalid"), "the file came later: {}", early.text());
    assert_eq!(acme.post("nectr-bot", &path, on(&new)).await.status, 200);

    acme.github.force_push(acme.pr, |files| files.reverts("new.rs"));
    let gone = acme.post("octavia", &path, json!({"commit_id": new, "body": "x"})).await;
    assert!(gone.text().contains("commit_id"), "{}", gone.text());
}

#[tokio::test]
async fn strangers_see_nothing_and_odd_fields_are_refused() {
    let acme = Acme::new().await;
    acme.github.user("eve");
    assert_eq!(acme.get("eve", &acme.pull("")).await.status, 404);
    assert_eq!(acme.post("eve", &acme.pull("/reviews"), json!({"body": "x"})).await.status, 404);
    let odd = acme.post("nectr-bot", &acme.pull("/reviews"), json!({"body": "x", "sha": "1"})).await;
    assert!(odd.text().contains("not a permitted key"));
    let null = acme.post("nectr-bot", &acme.pull("/reviews"), json!({"body": null})).await;
    assert!(null.text().contains("nil is not a string"), "{}", null.text());
}

#[tokio::test]
async fn only_approvals_and_requests_for_changes_can_be_dismissed() {
    let acme = Acme::new().await;
    let body = json!({"event": "REQUEST_CHANGES", "body": "no"});
    let id = acme.post("nectr-bot", &acme.pull("/reviews"), body).await.json()["id"].clone();
    let path = acme.pull(&format!("/reviews/{id}/dismissals"));
    let dismiss = || acme.ask("octavia", "PUT", &path).json(&json!({"message": "fixed"}));
    assert_eq!(dismiss().send().await.unwrap().json()["state"], "DISMISSED");
    assert_eq!(dismiss().send().await.unwrap().status, 422);
}
