//! What people see of deliveries, reviews and pull requests, what they may ask for, and how nectr says it is doing.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use nectr::{
    domain::{InstallationId, RepoId, RepoName, RepoRef, task::TaskKind},
    inbox::NewTask,
    sandbox::{Failure, NewPull, Pr, http::Request},
};
use serde_json::{Value, json};
use sqlx::{Connection, Executor};

use crate::support::{Person, SHOP, T, database::Database, minutes, nectr};

const PULL: &str = "GET /repos/*/*/pulls/*";

fn warned(pr: NewPull) -> NewPull {
    pr.title("Count the cart").branch("count").modifies("src/cart.js", "let a = 1;\n", "let a = 1;\ndebugger;\n")
}

fn clean(pr: NewPull) -> NewPull {
    pr.title("Price it").branch("price").adds("src/price.rs", "pub fn price() -> u32 {\n    3\n}\n")
}

fn detail(sentence: &str) -> Value {
    json!({"detail": sentence})
}

/// Asserts the whole of an answer.
macro_rules! answers {
    ($answer:expr, $status:literal, $body:expr) => {{
        let answer = $answer;
        assert_eq!((answer.status, &answer.json()), ($status, &$body), "{}", answer.text());
    }};
}

/// Ids of a page, and where the next one begins.
async fn page(person: &Person, path: &str) -> (Vec<i64>, Option<String>) {
    let page = person.see(path).await;
    let ids = page["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect();
    assert!(page["next_cursor"].is_null() || page["next_cursor"].is_string());
    (ids, page["next_cursor"].as_str().map(str::to_owned))
}

/// Ids of all pages of `limit`, in order.
async fn pages(person: &Person, path: &str, limit: usize) -> Vec<Vec<i64>> {
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let at = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let (ids, next) = page(person, &format!("{path}?limit={limit}{at}")).await;
        pages.push(ids);
        assert!(pages.len() < 100);
        match next {
            Some(next) => cursor = Some(next),
            None => return pages,
        }
    }
}

async fn count(person: &Person, path: &str) -> usize {
    page(person, path).await.0.len()
}

/// `sam`'s delivery about a pull request, reviewed.
async fn reviewed(t: &T) -> (Person, Pr, String) {
    let octavia = t.connected().await;
    t.deliver().await;
    let pr = t.open_pull(warned);
    let guid = t.deliver().await[0].delivery.guid.clone();
    t.work().await;
    t.take_review(pr);
    (octavia, pr, guid)
}

#[tokio::test]
async fn a_delivery_shows_exactly_what_came_and_what_became_of_it() {
    nectr(async |t| {
        let (octavia, pr, guid) = reviewed(t).await;
        let item = json!({
            "id": 1, "guid": guid, "repo": SHOP, "event": "pull_request", "action": "opened", "pr_number": pr.number,
            "status": "completed", "attempts": 1, "received_at": "2026-03-01T12:00:00Z",
            "finished_at": "2026-03-01T12:00:00Z", "next_attempt_at": null, "outcome": "reviewed", "last_error": null,
        });
        assert_eq!(octavia.see("/api/v1/deliveries").await, json!({"items": [item], "next_cursor": null}));

        let review = &t.github.reviews(pr)[0];
        let sent = t.github.deliveries().pop().unwrap().delivery;
        let mut expected = item;
        let kept = |name: &str| name.starts_with("x-github-") || name == "content-type" || name == "user-agent";
        let headers = sent.headers.iter().map(|(name, value)| (name.to_lowercase(), json!(value)));
        expected["headers"] = Value::Object(headers.filter(|(name, _)| kept(name)).collect());
        expected["payload"] = sent.payload();
        expected["attempt_log"] = json!([{
            "number": 1, "started_at": "2026-03-01T12:00:00Z", "finished_at": "2026-03-01T12:00:00Z",
            "result": "completed", "error": null,
        }]);
        expected["effects"] = json!([{
            "kind": "review", "github_id": review.id, "created_at": "2026-03-01T12:00:00Z",
            "url": format!("{}/acme/shop/pull/{}#pullrequestreview-{}", t.github.server_url(), pr.number, review.id),
        }]);
        assert_eq!(octavia.see("/api/v1/deliveries/1").await, expected);
        let text = octavia.get("/api/v1/deliveries/1").await.text();
        assert!(!text.contains("sha256="), "no signature is kept");
    })
    .await;
}

#[tokio::test]
async fn a_delivery_that_waits_says_when_it_is_tried_again_and_why_it_failed() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        let pr = t.open_pull(clean);
        t.deliver().await;
        let queued = octavia.see("/api/v1/deliveries/1").await;
        assert_eq!(queued["status"], "queued");
        assert_eq!(queued["next_attempt_at"], "2026-03-01T12:00:00Z");
        t.github.fail_next(PULL, Failure::Status(502, "bad gateway".into()));
        t.work().await;
        let failed = octavia.see("/api/v1/deliveries/1").await;
        assert_eq!((&failed["status"], &failed["attempts"]), (&"failed".into(), &0.into()));
        assert_eq!(failed["next_attempt_at"], "2026-03-01T12:00:30Z");
        assert_eq!(failed["last_error"], "GitHub is unreachable: GitHub answered 502: Bad Gateway");
        assert_eq!(failed["finished_at"], Value::Null);
        assert_eq!(failed["attempt_log"][0]["result"], "parked");
        assert_eq!(failed["effects"], json!([]));
        t.pass(minutes(1)).work().await;
        t.take_review(pr);
    })
    .await;
}

#[tokio::test]
async fn a_review_shows_exactly_what_was_concluded_and_posted() {
    nectr(async |t| {
        let (octavia, pr, _) = reviewed(t).await;
        let posted = &t.github.reviews(pr)[0];
        let site = t.github.server_url();
        let item = json!({
            "id": 1, "repo": SHOP, "pr_number": pr.number, "pr_title": "Count the cart",
            "pr_url": format!("{site}/acme/shop/pull/{}", pr.number), "pr_state": "open", "author": "sam",
            "branch": "count", "base_ref": "main", "head_sha": t.github.head_of(pr), "status": "posted",
            "verdict": "NEEDS_DISCUSSION", "event": "COMMENT",
            "summary": "Worth a look: 1 (debug-leftover). Read the changed file.", "files_analyzed": 1,
            "findings_count": 1, "created_at": "2026-03-01T12:00:00Z", "posted_at": "2026-03-01T12:00:00Z",
            "review_url": format!("{site}/acme/shop/pull/{}#pullrequestreview-{}", pr.number, posted.id),
        });
        assert_eq!(octavia.see("/api/v1/reviews").await, json!({"items": [item], "next_cursor": null}));

        let mut expected = item;
        expected["findings"] = json!([{
            "rule": "debug-leftover", "severity": "warn", "path": "src/cart.js", "line": 2, "start_line": null,
            "side": "RIGHT", "suggestion": "", "inline": true,
            "message": "`debugger` is left over from debugging: it stops the program here. Remove it.",
        }]);
        expected["coverage"] = json!({"full": ["src/cart.js"], "partial": [], "listed": [], "excluded": []});
        assert_eq!(octavia.see("/api/v1/reviews/1").await, expected);
    })
    .await;
}

#[tokio::test]
async fn pages_of_deliveries_and_reviews_have_neither_gaps_nor_repeats() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        let pulls: Vec<_> = (0..45).map(|_| t.open_pull(clean)).collect();
        t.settle().await;
        for pr in pulls {
            t.take_review(pr);
        }
        for path in ["/api/v1/deliveries", "/api/v1/reviews"] {
            let all = pages(&octavia, path, 100).await;
            assert_eq!(all.len(), 1);
            let all = &all[0];
            assert!(all.len() >= 45);
            assert!(all.is_sorted_by(|a, b| a > b), "newest first");
            for limit in [1, 15, 20, 44, 45] {
                let pages = pages(&octavia, path, limit).await;
                assert!(pages.iter().all(|page| !page.is_empty() && page.len() <= limit), "{path} by {limit}");
                assert_eq!(pages.len(), all.len().div_ceil(limit), "{path} by {limit}");
                assert_eq!(&pages.concat(), all, "{path} by {limit}");
            }
            let (first, cursor) = page(&octavia, path).await;
            assert_eq!(first.len(), 20, "the default");
            // What comes in between does not shift what follows.
            let late = t.open_pull(clean);
            t.settle().await;
            t.take_review(late);
            let (second, _) = page(&octavia, &format!("{path}?cursor={}", cursor.unwrap())).await;
            assert_eq!(second, all[20..40]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_limit_cursor_or_filter_that_makes_no_sense_is_422_with_a_sentence() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        for (query, sentence) in [
            ("limit=0", "`limit` must be a number from 1 to 100"),
            ("limit=101", "`limit` must be a number from 1 to 100"),
            ("limit=-1", "`limit` must be a number from 1 to 100"),
            ("limit=ten", "`limit` must be a number from 1 to 100"),
            ("limit=", "`limit` must be a number from 1 to 100"),
            ("cursor=17", "`cursor` must be the next_cursor of an earlier answer, unchanged"),
            ("repo=acme", "`repo` must be a repository's full name, owner/name"),
            ("repo=acme/..", "`repo` must be a repository's full name, owner/name"),
        ] {
            for list in ["deliveries", "reviews"] {
                answers!(octavia.get(&format!("/api/v1/{list}?{query}")).await, 422, detail(sentence));
            }
        }
        let words = "queued, running, completed, ignored, superseded, failed, dead";
        for status in ["done", "COMPLETED", ""] {
            let answer = octavia.get(&format!("/api/v1/deliveries?status={status}")).await;
            answers!(answer, 422, detail(&format!("`status` must be one of {words}")));
        }
        let words = "APPROVE, REQUEST_CHANGES, NEEDS_DISCUSSION";
        for verdict in ["approve", "COMMENT"] {
            let answer = octavia.get(&format!("/api/v1/reviews?verdict={verdict}")).await;
            answers!(answer, 422, detail(&format!("`verdict` must be one of {words}")));
        }
        for pr in ["0", "-1", "x", "99999999999999999999"] {
            let answer = octavia.get(&format!("/api/v1/deliveries?pr={pr}")).await;
            answers!(answer, 422, detail("`pr` must be a number, 1 or more"));
        }
        for path in ["/api/v1/deliveries/0", "/api/v1/deliveries/x", "/api/v1/reviews/-1"] {
            answers!(octavia.get(path).await, 422, detail("`id` must be a number, 1 or more"));
        }
        answers!(octavia.post("/api/v1/deliveries/x/redeliver").await, 422, detail("`id` must be a number, 1 or more"));
    })
    .await;
}

#[tokio::test]
async fn filters_of_deliveries_select_what_they_say_and_combine() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.github.repo("acme/api").private().admin("octavia").write("nectr-bot");
        octavia.connect("acme/api").await;
        t.deliver().await;
        let shop = t.open_pull(warned);
        let guid = t.deliver().await[0].delivery.guid.clone();
        t.work().await;
        t.github.label(shop, "urgent");
        t.deliver().await;
        t.github.open_issue(SHOP, "sam", "It is broken");
        t.deliver().await;
        let api = t.github.open_pull("acme/api", |pr| clean(pr).author("sam"));
        t.settle().await;
        t.take_review(shop);
        t.take_review(api);
        let other = t.open_pull(clean);
        t.deliver().await;
        for (query, expected) in [
            ("", 5),
            ("repo=acme/shop", 4),
            ("repo=ACME/Shop", 4),
            ("repo=acme/nothing", 0),
            ("status=completed", 3),
            ("status=ignored", 1),
            ("status=queued", 1),
            ("status=dead", 0),
            ("event=pull_request", 4),
            ("event=issues", 1),
            ("event=Issues", 0),
            (&format!("guid={guid}"), 1),
            (&format!("guid={}", guid.to_uppercase()), 1),
            ("guid=nonsense", 0),
            (&format!("pr={}", shop.number), 2 + usize::from(api.number == shop.number)),
            ("pr=4711", 0),
            ("repo=acme/shop&status=completed&event=pull_request", 1),
            ("repo=acme/api&status=queued", 0),
        ] {
            assert_eq!(count(&octavia, &format!("/api/v1/deliveries?{query}")).await, expected, "{query}");
        }
        t.work().await;
        t.take_review(other);
    })
    .await;
}

#[tokio::test]
async fn filters_of_reviews_select_what_they_say_and_combine() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        let pulls = [
            t.open_pull(warned),
            t.open_pull(clean),
            t.open_pull(|pr| clean(pr).title("100% of \u{c4}pfel_x \\ ").author("ada").branch("fruit")),
        ];
        t.settle().await;
        for pr in pulls {
            t.take_review(pr);
        }
        for (query, expected) in [
            ("", 3),
            ("repo=acme/shop", 3),
            ("repo=Acme/SHOP", 3),
            ("repo=acme/api", 0),
            ("verdict=APPROVE", 2),
            ("verdict=NEEDS_DISCUSSION", 1),
            ("verdict=REQUEST_CHANGES", 0),
            ("search=COUNT", 1),
            ("search=sam", 2),
            ("search=fruit", 1),
            ("search=acme", 3),
            ("search=", 3),
            ("search=%25", 1),
            ("search=100%25", 1),
            ("search=_x", 1),
            ("search=%5C", 1),
            ("search=%C3%84pfel", 1),
            ("search=nothing", 0),
            ("search=sam&verdict=APPROVE", 1),
        ] {
            assert_eq!(count(&octavia, &format!("/api/v1/reviews?{query}")).await, expected, "{query}");
        }
        let long = "x".repeat(201);
        answers!(
            octavia.get(&format!("/api/v1/reviews?search={long}")).await,
            422,
            detail("`search` must be 200 characters at most")
        );
    })
    .await;
}

#[tokio::test]
async fn what_belongs_to_others_is_not_there() {
    nectr(async |t| {
        let (octavia, pr, _) = reviewed(t).await;
        t.github.user("eve");
        let eve = t.sign_in("eve").await;
        // Ada may see the repository, but the delivery came through octavia's connection.
        let ada = t.sign_in("ada").await;
        for person in [&eve, &ada] {
            assert_eq!(person.see("/api/v1/deliveries").await, json!({"items": [], "next_cursor": null}));
            answers!(person.get("/api/v1/deliveries/1").await, 404, detail("Delivery not found"));
            answers!(person.post("/api/v1/deliveries/1/redeliver").await, 404, detail("Delivery not found"));
            assert_eq!(person.see("/api/v1/reviews").await, json!({"items": [], "next_cursor": null}));
            answers!(person.get("/api/v1/reviews/1").await, 404, detail("Review not found"));
            answers!(
                person.get(&format!("/api/v1/repos/{SHOP}/pulls/{}/state", pr.number)).await,
                404,
                detail("Repo not connected")
            );
        }
        for path in ["/api/v1/deliveries/4711", "/api/v1/deliveries/9223372036854775807"] {
            answers!(octavia.get(path).await, 404, detail("Delivery not found"));
            answers!(octavia.post(&format!("{path}/redeliver")).await, 404, detail("Delivery not found"));
        }
        answers!(octavia.get("/api/v1/reviews/4711").await, 404, detail("Review not found"));
        for path in ["/api/v1/deliveries", "/api/v1/deliveries/1", "/api/v1/reviews", "/api/v1/reviews/1"] {
            let answer = Request::get(format!("{}{path}", t.url)).send().await.unwrap();
            assert_eq!((answer.status, answer.json()), (401, detail("Unauthorized")), "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn after_disconnecting_the_lists_still_show_what_was_while_github_shows_the_repository() {
    nectr(async |t| {
        let (octavia, pr, _) = reviewed(t).await;
        assert_eq!(octavia.delete(&format!("/api/v1/repos/{SHOP}/install")).await.status, 200);
        assert_eq!(count(&octavia, "/api/v1/deliveries").await, 1);
        assert_eq!(count(&octavia, "/api/v1/reviews").await, 1);
        assert_eq!(octavia.see("/api/v1/reviews/1").await["pr_number"], pr.number);
        assert_eq!(octavia.see("/api/v1/deliveries/1").await["pr_number"], pr.number);
        let again = octavia.post("/api/v1/deliveries/1/redeliver").await;
        assert_eq!(again.status, 409, "{}", again.text());
        assert!(again.json()["detail"].is_string());

        t.github.repo(SHOP).without("octavia");
        t.pass(minutes(15));
        assert_eq!(count(&octavia, "/api/v1/deliveries").await, 0);
        assert_eq!(count(&octavia, "/api/v1/reviews").await, 0);
        answers!(octavia.get("/api/v1/reviews/1").await, 404, detail("Review not found"));
        answers!(octavia.get("/api/v1/deliveries/1").await, 404, detail("Delivery not found"));
        answers!(octavia.post("/api/v1/deliveries/1/redeliver").await, 404, detail("Delivery not found"));
    })
    .await;
}

#[tokio::test]
async fn redelivering_is_202_when_nothing_runs_and_409_when_it_waits() {
    nectr(async |t| {
        let (octavia, pr, _) = reviewed(t).await;
        let queued = json!({"status": "queued", "delivery_id": 1});
        answers!(octavia.post("/api/v1/deliveries/1/redeliver").await, 202, queued);
        let row = octavia.see("/api/v1/deliveries/1").await;
        assert_eq!(
            (&row["status"], &row["attempts"], &row["finished_at"]),
            (&"queued".into(), &0.into(), &Value::Null)
        );
        let busy = detail("Delivery is already queued or running");
        answers!(octavia.post("/api/v1/deliveries/1/redeliver").await, 409, busy);

        let claimed = t.app.store.claim().await.unwrap().unwrap();
        assert_eq!(octavia.see("/api/v1/deliveries/1").await["status"], "running");
        answers!(octavia.post("/api/v1/deliveries/1/redeliver").await, 409, busy);
        let end = nectr::store::lease::End::Failed { wait: Duration::from_secs(600), error: "no luck".into() };
        t.app.store.finish(claimed.lease, &end).await.unwrap();
        assert_eq!(octavia.see("/api/v1/deliveries/1").await["status"], "failed");
        answers!(octavia.post("/api/v1/deliveries/1/redeliver").await, 202, queued);
        t.work().await;
        assert_eq!(t.github.take_reviews(pr), [], "running twice does nothing twice");
        let row = octavia.see("/api/v1/deliveries/1").await;
        assert_eq!(
            (&row["status"], &row["attempts"], &row["last_error"]),
            (&"completed".into(), &1.into(), &Value::Null)
        );
        assert_eq!(row["effects"].as_array().unwrap().len(), 1, "what it did is not forgotten");
        assert_eq!(row["attempt_log"].as_array().unwrap().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn an_ignored_delivery_can_be_run_again_and_is_ignored_again() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        let pr = t.open_pull(|pr| clean(pr).draft());
        t.settle().await;
        assert_eq!(octavia.see("/api/v1/deliveries/1").await["outcome"], "draft");
        assert_eq!(octavia.post("/api/v1/deliveries/1/redeliver").await.status, 202);
        t.work().await;
        let row = octavia.see("/api/v1/deliveries/1").await;
        assert_eq!((&row["status"], &row["outcome"]), (&"ignored".into(), &"draft".into()));
        assert_eq!(t.github.take_reviews(pr), []);
    })
    .await;
}

#[tokio::test]
async fn the_operators_deliveries_are_seen_by_nobody() {
    crate::support::nectr_with(&[("GITHUB_WEBHOOK_SECRET", "by hand, long enough")], async |t| {
        let hook = format!("{}/api/v1/webhooks/github", t.url);
        t.github
            .repo("acme/tools")
            .private()
            .admin("octavia")
            .write("nectr-bot")
            .hook(&hook, Some("by hand, long enough"));
        let octavia = t.sign_in("octavia").await;
        let pr = t.github.open_pull("acme/tools", |pr| warned(pr).author("sam"));
        let sent = t.deliver().await;
        assert_eq!(sent[0].answer.status, Some(202), "{}", sent[0].answer.body);
        t.work().await;
        t.take_review(pr);
        let id = t.deliveries().await[0].id;
        let empty = json!({"items": [], "next_cursor": null});
        assert_eq!(octavia.see("/api/v1/deliveries").await, empty);
        answers!(octavia.get(&format!("/api/v1/deliveries/{id}")).await, 404, detail("Delivery not found"));
        answers!(octavia.post(&format!("/api/v1/deliveries/{id}/redeliver")).await, 404, detail("Delivery not found"));
        assert_eq!(octavia.see("/api/v1/reviews").await, empty);
        answers!(octavia.get("/api/v1/reviews/1").await, 404, detail("Review not found"));
    })
    .await;
}

async fn state(person: &Person, pr: Pr) -> Value {
    person.see(&format!("/api/v1/repos/{SHOP}/pulls/{}/state", pr.number)).await
}

#[tokio::test]
async fn the_state_of_a_pull_request_is_remembered_a_minute_when_open_and_five_when_not() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(clean);
        t.github.drop_deliveries();
        t.github.forget_calls();
        assert_eq!(state(&octavia, pr).await, json!({"state": "open", "cached": false, "expires_in": 60}));
        t.pass(Duration::from_secs(18));
        assert_eq!(state(&octavia, pr).await, json!({"state": "open", "cached": true, "expires_in": 42}));
        // Another spelling of the name is the same pull request.
        let path = format!("/api/v1/repos/ACME/Shop/pulls/{}/state", pr.number);
        assert_eq!(octavia.see(&path).await, json!({"state": "open", "cached": true, "expires_in": 42}));
        assert_eq!(t.github.count(PULL), 1);

        // Nobody told us that it was closed.
        t.github.close(pr);
        t.github.drop_deliveries();
        assert_eq!(state(&octavia, pr).await["state"], "open");
        t.pass(Duration::from_secs(42));
        assert_eq!(state(&octavia, pr).await, json!({"state": "closed", "cached": false, "expires_in": 300}));
        t.pass(Duration::from_secs(299));
        assert_eq!(state(&octavia, pr).await, json!({"state": "closed", "cached": true, "expires_in": 1}));
        t.pass(Duration::from_secs(1));
        assert_eq!(state(&octavia, pr).await["cached"], false);
        assert_eq!(t.github.count(PULL), 3);

        let merged = t.open_pull(clean);
        t.github.merge(merged);
        t.github.drop_deliveries();
        assert_eq!(state(&octavia, merged).await, json!({"state": "merged", "cached": false, "expires_in": 300}));
    })
    .await;
}

#[tokio::test]
async fn a_signed_delivery_tells_the_state_at_once_and_an_old_one_changes_nothing() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        let pr = t.open_pull(clean);
        let opened = t.github.drop_deliveries().remove(0);
        assert_eq!(state(&octavia, pr).await["state"], "open");
        t.github.merge(pr);
        t.deliver().await;
        t.github.forget_calls();
        assert_eq!(state(&octavia, pr).await, json!({"state": "merged", "cached": true, "expires_in": 300}));
        t.github.deliver(opened.clone()).await;
        assert_eq!(state(&octavia, pr).await["state"], "merged", "what is older never overwrites");
        let forged = opened
            .with_guid("0b0b0b0b-0000-4000-8000-000000000001")
            .with_header("X-Hub-Signature-256", &format!("sha256={}", "0".repeat(64)));
        assert_eq!(t.github.deliver(forged).await.answer.status, Some(401));
        assert_eq!(state(&octavia, pr).await["state"], "merged");
        assert_eq!(t.github.count(PULL), 0, "GitHub was not asked");
        t.work().await;
        assert_eq!(t.github.take_reviews(pr), []);
    })
    .await;
}

#[tokio::test]
async fn callers_who_ask_for_a_state_together_make_one_call() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(clean);
        t.github.drop_deliveries();
        t.github.forget_calls();
        t.github.fail_next(PULL, Failure::Delay(Duration::from_millis(100)));
        let asked = futures_util::future::join_all((0..8).map(|_| state(&octavia, pr))).await;
        assert!(asked.iter().all(|answer| answer["state"] == "open"), "{asked:?}");
        assert_eq!(t.github.count(PULL), 1);
    })
    .await;
}

#[tokio::test]
async fn a_state_that_cannot_be_told_is_said_plainly_and_not_remembered() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(clean);
        t.github.drop_deliveries();
        let path = format!("/api/v1/repos/{SHOP}/pulls/{}/state", pr.number);
        answers!(
            octavia.get(&format!("/api/v1/repos/{SHOP}/pulls/4711/state")).await,
            404,
            detail("Pull request not found")
        );
        for failure in [
            Failure::Status(502, "bad gateway".into()),
            Failure::CutBefore,
            Failure::Status(200, "not json".into()),
            Failure::Status(401, json!({"message": "Bad credentials"}).to_string()),
        ] {
            t.github.fail_next(PULL, failure);
            answers!(octavia.get(&path).await, 502, detail("GitHub is unreachable"));
        }
        assert_eq!(state(&octavia, pr).await["state"], "open");
        for number in ["0", "-1", "x"] {
            let answer = octavia.get(&format!("/api/v1/repos/{SHOP}/pulls/{number}/state")).await;
            answers!(answer, 422, detail("`number` must be a number, 1 or more"));
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_connection_nothing_is_looked_up_anywhere() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.github.repo("acme/api").private().admin("octavia").write("nectr-bot");
        let pr = t.github.open_pull("acme/api", |pr| clean(pr).author("sam"));
        // Ada may see the shop's pull request, and its state is remembered.
        let shop = t.open_pull(clean);
        t.github.drop_deliveries();
        state(&octavia, shop).await;
        let ada = t.sign_in("ada").await;
        t.github.forget_calls();
        for (person, repo, number) in
            [(&octavia, "acme/api", pr.number), (&ada, SHOP, shop.number), (&ada, "no/where", 1)]
        {
            for (method, what) in [("GET", "state"), ("POST", "review"), ("POST", "review?force=true")] {
                let method = method.parse().unwrap();
                let path = format!("/api/v1/repos/{repo}/pulls/{number}/{what}");
                answers!(person.request(method, &path).send().await.unwrap(), 404, detail("Repo not connected"));
            }
        }
        assert_eq!(t.github.calls(), [], "GitHub was not asked");
    })
    .await;
}

#[tokio::test]
async fn a_review_can_be_asked_for_now() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        let pr = t.open_pull(warned);
        t.github.drop_deliveries();
        let path = format!("/api/v1/repos/Acme/SHOP/pulls/{}/review", pr.number);
        let first = octavia.post(&path).await;
        let queued =
            json!({"status": "queued", "task_id": first.json()["task_id"], "repo": SHOP, "pr_number": pr.number});
        assert!(queued["task_id"].is_i64());
        answers!(first, 202, queued);
        answers!(octavia.post(&path).await, 202, queued);
        t.work().await;
        t.take_review(pr);

        // Reviewed already: the answer is the same, and nothing is posted.
        let answer = octavia.post(&path).await;
        assert_eq!((answer.status, &answer.json()["status"]), (202, &"queued".into()));
        t.work().await;
        assert_eq!(t.github.take_reviews(pr), []);

        answers!(
            octavia.post(&format!("/api/v1/repos/{SHOP}/pulls/4711/review")).await,
            404,
            detail("Pull request not found")
        );
        answers!(
            octavia.post(&format!("/api/v1/repos/{SHOP}/pulls/0/review")).await,
            422,
            detail("`number` must be a number, 1 or more")
        );
        t.github.fail_next(PULL, Failure::Status(502, "bad gateway".into()));
        answers!(octavia.post(&path).await, 502, detail("GitHub is unreachable"));
        t.github.close(pr);
        t.github.drop_deliveries();
        answers!(octavia.post(&path).await, 409, detail("Pull request is closed"));
        t.work().await;
        assert_eq!(t.github.take_reviews(pr), []);
    })
    .await;
}

#[tokio::test]
async fn a_draft_is_reviewed_when_somebody_asks_for_it() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(|pr| warned(pr).draft());
        t.settle().await;
        assert_eq!(t.github.take_reviews(pr), []);
        let path = format!("/api/v1/repos/{SHOP}/pulls/{}/review", pr.number);
        assert_eq!(octavia.post(&path).await.status, 202);
        t.work().await;
        t.take_review(pr);
        t.github.ready_for_review(pr);
        t.settle().await;
        assert_eq!(t.github.take_reviews(pr), [], "this head was reviewed");
    })
    .await;
}

async fn health(t: &T) -> Value {
    let answer = Request::get(format!("{}/health", t.url)).send().await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut body = answer.json();
    assert!(body["uptime_seconds"].take().as_i64().is_some_and(|seconds| seconds >= 0));
    body
}

#[tokio::test]
async fn health_tells_how_much_waits() {
    nectr(async |t| {
        t.connected().await;
        t.deliver().await;
        let calm = health(t).await;
        assert_eq!(calm["status"], "ok");
        assert_eq!(calm["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(calm["database"], "ok");
        assert_eq!(calm["queue"], json!({"queued": 0, "running": 0, "dead": 0, "oldest_seconds": 0}));
        let keys: BTreeSet<_> = calm.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, BTreeSet::from(["status", "version", "uptime_seconds", "database", "graph", "queue"]));
        let keys: BTreeSet<_> = calm["graph"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, BTreeSet::from(["backend", "status"]));

        let pulls = [t.open_pull(clean), t.open_pull(clean), t.open_pull(clean)];
        t.deliver().await;
        t.pass(Duration::from_secs(40));
        assert_eq!(health(t).await["queue"], json!({"queued": 3, "running": 0, "dead": 0, "oldest_seconds": 40}));
        let claimed = t.app.store.claim().await.unwrap().unwrap();
        let queue = health(t).await["queue"].clone();
        assert_eq!((&queue["queued"], &queue["running"]), (&2.into(), &1.into()));
        t.app.store.finish(claimed.lease, &nectr::store::lease::End::HandedBack).await.unwrap();
        t.work().await;
        for pr in pulls {
            t.take_review(pr);
        }

        // A task that makes no sense is given up: a review of no pull request.
        let repo = RepoRef { id: RepoId(1), name: RepoName::parse(SHOP).unwrap() };
        let task = NewTask {
            kind: TaskKind::Review,
            key: "1".into(),
            installation: InstallationId::OPERATOR,
            repo,
            number: None,
            payload: json!({}),
        };
        t.app.inbox.enqueue(task).await.unwrap();
        for _ in 0..8 {
            t.work().await;
            t.pass(minutes(61));
        }
        assert_eq!(health(t).await["queue"], json!({"queued": 0, "running": 0, "dead": 1, "oldest_seconds": 0}));
    })
    .await;
}

#[tokio::test]
async fn a_process_that_is_going_is_alive_but_not_ready() {
    nectr(async |t| {
        let ask = async |path: &str| Request::get(format!("{}{path}", t.url)).send().await.unwrap();
        answers!(ask("/health/live").await, 200, json!({"status": "ok"}));
        answers!(ask("/health/ready").await, 200, json!({"status": "ok"}));
        t.app.draining.store(true, Ordering::SeqCst);
        answers!(ask("/health/ready").await, 503, detail("Shutting down"));
        answers!(ask("/health/live").await, 200, json!({"status": "ok"}));
        assert_eq!(ask("/health").await.status, 200);
    })
    .await;
}

/// Takes the database away: on PostgreSQL all of it, on SQLite, where nothing can be taken from an open file, what matters.
async fn ruin(database: &Database) {
    if database.is_postgres() {
        return database.remove().await;
    }
    let mut connection = sqlx::SqliteConnection::connect(&database.url).await.unwrap();
    for table in ["deliveries", "reviews"] {
        connection.execute(sqlx::AssertSqlSafe(format!("DROP TABLE {table}"))).await.unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn health_is_503_while_the_database_is_down_and_the_process_lives_on() {
    let database = Database::fresh().await;
    let clock = nectr::domain::Clock::manual(crate::support::database::noon());
    let github = nectr::sandbox::Sandbox::start_on(0, clock.clone()).await.unwrap();
    crate::support::populate(&github);
    let t = T::start(&github, &clock, &database.url, &[]).await;
    let octavia = t.connected().await;
    t.deliver().await;
    ruin(&database).await;
    let ask = async |path: &str| Request::get(format!("{}{path}", t.url)).send().await.unwrap();
    let down = ask("/health").await;
    assert_eq!(down.status, 503);
    assert_eq!(down.json()["database"], "down");
    assert!(down.json()["detail"].is_string(), "like every answer that is not a success");
    if database.is_postgres() {
        answers!(ask("/health/ready").await, 503, detail("The database does not answer"));
    }
    answers!(ask("/health/live").await, 200, json!({"status": "ok"}));
    let answer = octavia.get("/api/v1/reviews").await;
    assert!(answer.status >= 500, "{}", answer.text());
    let told = answer.json()["detail"].as_str().unwrap().to_lowercase();
    assert!(!told.contains("sql") && !told.contains("pool") && !told.contains("postgres"), "{told}");
    // A webhook is not accepted either: GitHub shows it as failed, and it can be sent again.
    github.open_pull(SHOP, |pr| clean(pr).author("sam"));
    for sent in github.deliver_all().await {
        assert_eq!(sent.answer.status, Some(503), "{}", sent.answer.body);
    }
    t.shut_down().await;
}
