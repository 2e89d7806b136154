//! GitHub's record of a webhook's deliveries, page by page, and the list of what changed.

use chrono::{DateTime, Utc};

use super::*;
use crate::domain::HookId;

fn token() -> SecretString {
    SecretString::from("users-own")
}

/// Attempt number `n`, delivered `n` seconds after the year began.
fn attempt(n: i64) -> Value {
    json!({
        "id": 12_000_000_000_i64 + n, "guid": format!("{n:08}-0000-11ef-8000-000000000000"),
        "delivered_at": DateTime::from_timestamp(1_767_225_600 + n, 0).unwrap(), "redelivery": false, "duration": 0.1,
        "status": "OK", "status_code": 200, "event": "pull_request", "action": null, "installation_id": null,
        "repository_id": 1, "throttled_at": null,
    })
}

fn since(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600 + n, 0).unwrap()
}

const PATH: &str = "/repos/acme/api/hooks/3/deliveries?per_page=100";

/// A record of attempts 250 to 1. The cursor is GitHub's own business: here it has to be escaped.
async fn record() -> Fake {
    Fake::start(|seen| {
        let page = |from: i64| Reply::json((from - 99..=from).rev().filter(|n| *n > 0).map(attempt).collect());
        let next = |cursor: &str| format!("<https://api.github.com/x?per_page=100&cursor={cursor}>; rel=\"next\"");
        if seen.header("if-none-match").is_some() {
            return Reply::empty(304);
        }
        match seen.path.strip_prefix(PATH) {
            Some("") => page(250).with("link", next("v1_%26151")).with("etag", "\"e\""),
            Some("&cursor=v1_%26151") => page(150).with("link", next("v1_51")),
            Some("&cursor=v1_51") => page(50),
            other => panic!("{other:?}"),
        }
    })
    .await
}

#[tokio::test]
async fn a_record_is_read_as_far_back_as_needed_and_no_further() {
    for (back_to, pages) in [(1, 3), (51, 3), (52, 2), (151, 2), (152, 1), (250, 1), (251, 1)] {
        let fake = record().await;
        let (github, _) = fake.github();
        let record = github.user(&token()).record(&repo(), HookId(3), since(back_to)).await.unwrap();
        assert!(record.complete);
        let ids: Vec<i64> = record.attempts.iter().map(|attempt| attempt.id - 12_000_000_000).collect();
        assert_eq!(ids, (back_to..=250).rev().collect::<Vec<_>>());
        assert_eq!(fake.seen().len(), pages, "back to {back_to}");
    }
}

#[tokio::test]
async fn p45_a_304_that_does_not_say_where_the_next_page_is_hides_nothing() {
    let fake = record().await;
    let (github, _) = fake.github();
    let token = token();
    let user = github.user(&token);
    for (back_to, more) in [(200, 1), (200, 1), (1, 4)] {
        let before = fake.seen().len();
        let record = user.record(&repo(), HookId(3), since(back_to)).await.unwrap();
        assert_eq!(record.attempts.len() as i64, 251 - back_to);
        assert_eq!(fake.seen().len() - before, more, "back to {back_to}");
    }
}

#[tokio::test]
async fn a_redelivery_is_asked_for_without_a_body() {
    let fake = always(202, json!({})).await;
    let (github, _) = fake.github();
    github.user(&token()).redeliver(&repo(), HookId(3), 12_000_000_007).await.unwrap();
    assert_eq!(fake.asked(), ["POST /repos/acme/api/hooks/3/deliveries/12000000007/attempts"]);
    assert!(fake.seen()[0].body.is_empty() && fake.seen()[0].header("content-type").is_none());
}

#[tokio::test]
async fn what_changed_is_listed_as_far_back_as_needed_whatever_its_state() {
    let fake = Fake::start(|seen| {
        let row = |n: i64| {
            let merged = (n % 2 == 0).then(|| since(n));
            json!({
                "number": n, "state": "closed", "draft": null, "merged_at": merged, "updated_at": since(n),
                "head": {"sha": "a", "ref": "change"}, "base": {"sha": "b", "ref": "main"},
            })
        };
        let from = if seen.path.ends_with("page=1") { 250 } else { 151 };
        Reply::json((from - 99..=from).rev().map(row).collect()).with("link", "<https://x>; rel=\"next\"")
    })
    .await;
    let (github, _) = fake.github();
    let changed = github.bot().changed_pulls(&repo(), since(140)).await.unwrap();
    let numbers: Vec<i64> = changed.pulls.iter().map(|pull| pull.number.0).collect();
    assert_eq!(numbers, (140..=250).rev().collect::<Vec<_>>(), "number 151 is on both pages");
    assert!(changed.complete);
    let states: Vec<_> = changed.pulls.iter().take(2).map(|pull| pull.state.as_str()).collect();
    assert_eq!(states, ["merged", "closed"]);
    let path = "GET /repos/acme/api/pulls?state=all&sort=updated&direction=desc&per_page=100&page=";
    assert_eq!(fake.asked(), [1, 2].map(|page| format!("{path}{page}")));
}
