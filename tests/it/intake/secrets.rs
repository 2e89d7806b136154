//! Whose secret is tried: the webhook's, the repository's, the operator's; and what a first delivery teaches.

use nectr::{
    domain::Clock,
    sandbox::{Delivery, Pings, Sandbox, Sent},
    store::deliveries::Status,
};
use serde_json::json;

use super::{PATH, expect_problem, guid, last, only, opened, post, ready, received, reviewed, said, without};
use crate::support::{
    Person, SHOP, T,
    database::{Database, noon},
    minutes, nectr, nectr_with, populate,
};

/// What the operator signs with in these stories.
const OPERATOR: [(&str, &str); 1] = [("GITHUB_WEBHOOK_SECRET", "made by hand")];

/// A webhook on a repository, as the operator makes it on GitHub's pages.
fn by_hand(t: &T, repo: &str) {
    t.github.repo(repo).hook(&format!("{}{PATH}", t.url), Some("made by hand"));
}

/// What a person is told of their webhook on the shop.
async fn webhook(person: &Person) -> serde_json::Value {
    person.see(&format!("/api/v1/repos/{SHOP}")).await["webhook"].clone()
}

#[track_caller]
fn expect_pong(sent: &Sent) {
    assert_eq!(sent.delivery.event, "ping");
    let (status, body) = said(&sent.answer);
    assert_eq!((status, &body["status"]), (200, &json!("pong")));
    assert_eq!(body.get("delivery_id"), None, "a ping has no row");
}

#[tokio::test]
async fn p47_a_ping_is_a_pong_that_verifies_the_connection_and_leaves_no_row() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let hook = t.github.hooks_of(SHOP)[0].id;
        let unverified = json!({
            "id": hook, "verified": false, "last_delivery_at": null, "last_status": null, "state": "ok", "hint": null,
        });
        assert_eq!(webhook(&octavia).await, unverified);
        expect_pong(&only(t.deliver().await));
        let seen = webhook(&octavia).await;
        assert_eq!((&seen["id"], &seen["verified"], &seen["last_status"]), (&json!(hook), &json!(true), &json!(200)));
        assert!(seen["last_delivery_at"].is_string(), "{seen}");
        assert!(t.deliveries().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn p47_a_ping_with_a_wrong_signature_verifies_nothing() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let ping = only(t.github.drop_deliveries());
        let forged = ping.with_header("X-Hub-Signature-256", &format!("sha256={}", "0".repeat(64)));
        assert_eq!(forged.send().await.status, Some(401));
        assert_eq!(webhook(&octavia).await["verified"], json!(false));
    })
    .await;
}

#[tokio::test]
async fn p47_a_ping_that_overtakes_the_answer_to_connecting_is_believed() {
    nectr(async |t| {
        t.github.pings(Pings::BeforeAnswer);
        let octavia = t.connected().await;
        expect_pong(&only(t.github.deliveries()));
        let seen = webhook(&octavia).await;
        assert_eq!((&seen["id"], &seen["verified"]), (&json!(t.github.hooks_of(SHOP)[0].id), &json!(true)));
        let (pr, delivery) = opened(t);
        assert_eq!(delivery.send().await.status, Some(202), "and so is what follows");
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p47_two_pings_that_overtake_find_each_its_own_connection() {
    nectr(async |t| {
        t.github.pings(Pings::BeforeAnswer);
        let (octavia, ada) = (t.sign_in("octavia").await, t.sign_in("ada").await);
        tokio::join!(octavia.connect(SHOP), ada.connect(SHOP));
        let sent = t.github.deliveries();
        assert_eq!(sent.len(), 2);
        sent.iter().for_each(expect_pong);
        let (hers, his) = (webhook(&octavia).await, webhook(&ada).await);
        assert_eq!((&hers["verified"], &his["verified"]), (&json!(true), &json!(true)));
        let mut ids = [hers["id"].as_i64().unwrap(), his["id"].as_i64().unwrap()];
        ids.sort_unstable();
        assert_eq!(ids.to_vec(), t.github.hooks_of(SHOP).iter().map(|hook| hook.id).collect::<Vec<_>>());
        assert_eq!(
            t.app.store.installation(nectr::domain::InstallationId(1)).await.unwrap().unwrap().state.as_str(),
            "active"
        );
    })
    .await;
}

#[tokio::test]
async fn p47_an_organisations_ping_names_no_repository_and_is_answered_alike() {
    nectr_with(&OPERATOR, async |t| {
        t.github.repo(SHOP);
        by_hand(t, SHOP);
        let (_, template) = opened(t);
        let body = include_str!("../../../fixtures/webhooks/ping.organization.json");
        let ping =
            template.with_header("X-GitHub-Event", "ping").with_header("X-GitHub-Hook-ID", "512002").with_body(body);
        let told = json!({"status": "pong", "event": "ping"});
        assert_eq!(said(&ping.send().await), (200, told.clone()));
        assert_eq!(said(&without(ping, "X-GitHub-Hook-ID").send().await), (200, told));
        assert!(t.deliveries().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_operators_secret_is_for_repositories_nobody_connected_and_theirs_to_see() {
    nectr_with(&OPERATOR, async |t| {
        let octavia = t.sign_in("octavia").await;
        by_hand(t, SHOP);
        let (pr, delivery) = opened(t);
        let answer = delivery.send().await;
        let row = last(t).await;
        assert_eq!(said(&answer), received(row.id.0, "pull_request.opened"));
        assert_eq!(row.installation.0, 0);
        let by_name = without(delivery.clone(), "X-GitHub-Hook-ID");
        assert_eq!(by_name.send().await.status, Some(200), "with or without an id it is the same delivery");
        // It is processed as any other.
        reviewed(t, pr).await;
        assert_eq!((last(t).await.status, last(t).await.outcome.as_deref()), (Status::Completed, Some("reviewed")));

        // And seen by nobody who is not the operator, now or later.
        octavia.connect(SHOP).await;
        t.deliver().await;
        assert_eq!(octavia.see("/api/v1/deliveries").await, json!({"items": [], "next_cursor": null}));
        for answer in [
            octavia.get(&format!("/api/v1/deliveries/{}", row.id)).await,
            octavia.post(&format!("/api/v1/deliveries/{}/redeliver", row.id)).await,
        ] {
            assert_eq!((answer.status, answer.json()), (404, json!({"detail": "Delivery not found"})));
        }
    })
    .await;
}

#[tokio::test]
async fn the_operators_secret_opens_no_connected_repository() {
    nectr_with(&OPERATOR, async |t| {
        ready(t).await;
        by_hand(t, SHOP);
        let pr = t.open_pull(|pr| pr.adds("a.txt", "a\n"));
        let sent = t.github.drop_deliveries();
        let hooks = t.github.hooks_of(SHOP);
        assert_eq!((sent.len(), hooks.len()), (2, 2));
        let of_hand = |delivery: &&Delivery| delivery.hook_id == hooks[1].id;
        let hand = sent.iter().find(of_hand).unwrap();
        for delivery in [hand.clone(), without(hand.clone(), "X-GitHub-Hook-ID")] {
            assert_eq!(said(&delivery.send().await), (401, json!({"detail": "Invalid webhook signature"})));
        }
        let ours = sent.iter().find(|delivery| !of_hand(delivery)).unwrap();
        assert_eq!(ours.send().await.status, Some(202));
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn the_operators_secret_counts_again_when_the_last_connection_has_ended() {
    nectr_with(&OPERATOR, async |t| {
        let octavia = ready(t).await;
        assert_eq!(octavia.delete(&format!("/api/v1/repos/{SHOP}/install")).await.status, 200);
        by_hand(t, SHOP);
        let (pr, delivery) = opened(t);
        assert_eq!(delivery.send().await.status, Some(202));
        assert_eq!(last(t).await.installation.0, 0);
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn the_webhook_shows_what_it_was_answered_last() {
    nectr(async |t| {
        let octavia = ready(t).await;
        let (pr, delivery) = opened(t);
        let answers = [
            (202, delivery.clone()),
            (200, delivery.clone()),
            (400, delivery.clone().with_body("{")),
            (200, super::labeled(t)),
        ];
        for (status, delivery) in answers {
            t.pass(minutes(1));
            assert_eq!(delivery.send().await.status, Some(status));
            let seen = webhook(&octavia).await;
            let at = seen["last_delivery_at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
            assert_eq!((&seen["last_status"], at), (&json!(status), t.clock.now()));
        }
        // What proves nothing teaches nothing.
        t.pass(minutes(1));
        let before = webhook(&octavia).await;
        assert_eq!(delivery.with_header("X-Hub-Signature-256", "sha256=00").send().await.status, Some(401));
        assert_eq!(webhook(&octavia).await, before);
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn without_the_operators_secret_a_webhook_made_by_hand_is_a_stranger() {
    nectr(async |t| {
        by_hand(t, SHOP);
        let (_, delivery) = opened(t);
        assert_eq!(said(&delivery.send().await), (401, json!({"detail": "Invalid webhook signature"})));
        assert!(t.deliveries().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn without_a_webhooks_id_the_repositorys_name_decides_in_any_case() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        let mut payload = delivery.payload();
        payload["repository"]["full_name"] = json!("ACME/Shop");
        let spelled = without(delivery, "X-GitHub-Hook-ID").with_body(payload.to_string());
        assert_eq!(spelled.send().await.status, Some(202));
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn a_secret_that_cannot_be_opened_is_503_and_never_401() {
    const KEY: &str = "a key for tests, long enough to be one";
    const OTHER: &str = "another key, as long as the first one was";
    let database = Database::fresh().await;
    let clock = Clock::manual(noon());
    let github = Sandbox::start_on(0, clock.clone()).await.unwrap();
    populate(&github);
    let first = T::start(&github, &clock, &database.url, &[("SECRET_KEY", KEY)]).await;
    ready(&first).await;
    let (pr, delivery) = opened(&first);
    first.shut_down().await;
    let at = |t: &T| {
        let mut delivery = delivery.clone();
        delivery.url = format!("{}{PATH}", t.url);
        delivery
    };

    let locked_out = T::start(&github, &clock, &database.url, &[("SECRET_KEY", OTHER)]).await;
    let good = at(&locked_out);
    let by_name = without(good.clone(), "X-GitHub-Hook-ID");
    let wrong = good.clone().with_header("X-Hub-Signature-256", &format!("sha256={}", "0".repeat(64)));
    for delivery in [&good, &by_name, &wrong] {
        let answer = post(delivery).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()));
        assert!(answer.json()["detail"].is_string(), "{}", answer.text());
    }
    // Only what concerns that secret: a stranger is a stranger.
    let unknown = by_name.with_guid(&guid(1)).with_body("{}");
    assert_eq!(unknown.send().await.status, Some(401));
    assert!(locked_out.deliveries().await.is_empty());
    locked_out.shut_down().await;

    let keys = [("SECRET_KEY", OTHER), ("SECRET_KEY_PREVIOUS", KEY)];
    let both = T::start(&github, &clock, &database.url, &keys).await;
    assert_eq!(at(&both).send().await.status, Some(202), "the previous key still opens it");
    reviewed(&both, pr).await;
    both.expect_waiting(0).await;
    both.shut_down().await;
    database.remove().await;
}

#[tokio::test]
async fn of_two_secrets_the_one_that_opens_still_counts() {
    nectr(async |t| {
        // The row of one connection is damaged; the other connection does not suffer.
        let octavia = t.sign_in("octavia").await.connect(SHOP).await;
        t.sign_in("ada").await.connect(SHOP).await;
        t.deliver().await;
        super::beside::Beside::open(t)
            .await
            .run("UPDATE installations SET secret = (SELECT token FROM users WHERE id = 1) WHERE user_id = 1")
            .await;
        let pr = t.open_pull(|pr| pr.adds("a.txt", "a\n"));
        let sent = t.github.drop_deliveries();
        let rows = t.github.hooks_of(SHOP);
        let hers = |delivery: &&Delivery| delivery.hook_id == rows[0].id;
        let damaged = sent.iter().find(hers).unwrap();
        let sound = sent.iter().find(|delivery| !hers(delivery)).unwrap();
        for delivery in [damaged.clone(), without(damaged.clone(), "X-GitHub-Hook-ID")] {
            expect_problem(&delivery.send().await, 503);
        }
        let answer = without(sound.clone(), "X-GitHub-Hook-ID").send().await;
        let row = last(t).await;
        assert_eq!(said(&answer), received(row.id.0, "pull_request.opened"));
        assert_ne!(row.installation.0, octavia);
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn what_another_process_connects_and_disconnects_this_one_knows() {
    let (database, clock) = (Database::fresh().await, Clock::manual(noon()));
    // One process serves a SQLite database.
    if !database.is_postgres() {
        return;
    }
    let github = Sandbox::start_on(0, clock.clone()).await.unwrap();
    populate(&github);
    let (here, there) =
        (T::start(&github, &clock, &database.url, &[]).await, T::start(&github, &clock, &database.url, &[]).await);
    let send_here = |mut delivery: Delivery| {
        delivery.url = delivery.url.replace(&there.url, &here.url);
        assert!(delivery.url.starts_with(&here.url), "{}", delivery.url);
        async move { post(&delivery).await }
    };

    let octavia = there.sign_in("octavia").await;
    octavia.connect(SHOP).await;
    let ping = only(github.drop_deliveries());
    assert_eq!(send_here(ping).await.status, 200, "connected over there");
    there.work().await;
    let (pr, delivery) = opened(&there);
    assert_eq!(send_here(delivery.clone()).await.status, 202);
    there.work().await;
    there.take_review(pr);

    assert_eq!(octavia.delete(&format!("/api/v1/repos/{SHOP}/install")).await.status, 200);
    let mut heard = tokio::time::interval(std::time::Duration::from_millis(10));
    for again in 0.. {
        let answer = send_here(delivery.clone().with_guid(&guid(again))).await;
        if answer.json()["status"] == json!("ignored") {
            break;
        }
        assert!(again < 300, "{}", answer.text());
        heard.tick().await;
    }
    there.work().await;
    there.shut_down().await;
    here.shut_down().await;
    database.remove().await;
}
