//! Repositories: which there are, connecting and disconnecting them, and how a connected one is doing.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use http::Method;
use nectr::{
    accounts::connect::reconcile,
    domain::{InstallationId, RepoId, RepoName, RepoRef, UserId},
    sandbox::{Failure, HookInfo, Pings, http::Response},
    seal::Place,
    store::{
        deliveries::Status,
        installations::{Claim, InstallationState, NewInstallation},
    },
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use crate::{
    access::{expect_problem, expect_refusal, instant},
    sign_in::House,
    support::{Person, SHOP, T, database::noon, hours, minutes, nectr, nectr_with},
};

const INSTALL: &str = "/api/v1/repos/acme/shop/install";
const SHOWN: &str = "/api/v1/repos/acme/shop";

/// The one webhook of the shop.
#[track_caller]
fn hook(t: &T) -> HookInfo {
    let mut hooks = t.github.hooks_of(SHOP);
    assert_eq!(hooks.len(), 1, "{hooks:#?}");
    hooks.remove(0)
}

#[track_caller]
fn secret(hook: &HookInfo) -> String {
    hook.secret.as_ref().expect("signed").expose_secret().to_owned()
}

fn our_url(t: &T) -> String {
    format!("{}/api/v1/webhooks/github", t.url)
}

#[track_caller]
fn connected(answer: &Response) -> i64 {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.json()["installation_id"].as_i64().unwrap();
    assert_eq!(answer.json(), json!({"status": "connected", "installation_id": id, "repo": SHOP}));
    id
}

/// Asserts that connecting failed for a reason that holds these words.
#[track_caller]
fn expect_failed(answer: &Response, words: &str) {
    let detail = expect_refusal(answer, 502);
    let reason = detail.strip_prefix("Failed to install webhook: ");
    let reason = reason.unwrap_or_else(|| panic!("{detail}"));
    assert!(reason.contains(words), "{detail}");
}

/// Proves that the connection works: a pull request is reviewed, once.
async fn expect_reviews(t: &T) {
    let pr = t.open_pull(|pr| pr.adds("a.txt", "one\n"));
    t.settle().await;
    t.take_review(pr);
}

/// The names of a list of repositories, in its order.
fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|repo| repo["full_name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_list_shows_each_repository_exactly() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        t.github.repo(SHOP).description("What we sell");
        let expected = |is_connected: bool, installation: Option<i64>, updated_at: &Value| {
            json!([{
                "id": t.github.repo_id(SHOP), "name": "shop", "full_name": SHOP, "description": "What we sell",
                "private": true, "html_url": format!("{}/acme/shop", t.github.url()), "updated_at": updated_at,
                "is_connected": is_connected, "installation_id": installation,
            }])
        };
        let list = octavia.see("/api/v1/repos").await;
        instant(&list[0]["updated_at"]);
        assert_eq!(list, expected(false, None, &list[0]["updated_at"]));

        let id = octavia.connect(SHOP).await;
        let list = octavia.see("/api/v1/repos").await;
        assert_eq!(list, expected(true, Some(id), &list[0]["updated_at"]));

        octavia.delete(INSTALL).await;
        t.settle().await;
        let list = octavia.see("/api/v1/repos").await;
        assert_eq!(list, expected(false, None, &list[0]["updated_at"]));
    })
    .await;
}

#[tokio::test]
async fn the_list_has_all_pages_most_recently_updated_first() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        for n in 0..230 {
            t.github.repo(&format!("octavia/tool-{n}"));
        }
        t.github.org("globex").member("octavia");
        t.github.repo("globex/site").private();
        t.github.repo("globex/secret-of-others").private();
        t.github.repo("strangers/public");
        t.open_pull(|pr| pr.adds("a.txt", "one\n"));
        t.github.forget_calls();

        let list = octavia.see("/api/v1/repos").await;
        let names = names(&list);
        assert_eq!(names.len(), 233);
        assert_eq!(names[0], SHOP, "touched last");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 233, "each once");
        assert!(!names.contains(&"strangers/public"));
        let times: Vec<_> = list.as_array().unwrap().iter().map(|repo| instant(&repo["updated_at"])).collect();
        assert!(times.is_sorted_by(|earlier, later| earlier >= later));

        let mut pages = Vec::new();
        for call in t.github.calls() {
            assert_eq!((call.path.as_str(), call.user.as_deref()), ("/user/repos", Some("octavia")));
            let mut query: Vec<String> = call.query.split('&').map(|pair| pair.replace("%2C", ",")).collect();
            query.sort();
            let page = query.remove(1);
            assert_eq!(query, ["affiliation=owner,collaborator,organization_member", "per_page=100", "sort=updated"]);
            pages.push(page);
        }
        assert_eq!(pages, ["page=1", "page=2", "page=3"]);
    })
    .await;
}

#[tokio::test]
async fn the_list_says_when_the_github_account_has_to_be_reconnected_and_when_github_does_not_answer() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        let failed = "Failed to fetch repositories from GitHub";
        for failure in [
            Failure::Status(500, "oops".to_owned()),
            Failure::CutBefore,
            Failure::Secondary,
            Failure::Status(200, "{\"not\": \"a list\"}".to_owned()),
        ] {
            t.github.fail_next("GET /user/repos", failure);
            expect_problem(&octavia.get("/api/v1/repos").await, 502, failed);
            t.pass(minutes(10));
        }
        t.github.outage(true);
        expect_problem(&octavia.get("/api/v1/repos").await, 502, failed);
        t.github.recover();
        assert_eq!(octavia.see("/api/v1/repos").await[0]["full_name"], SHOP);
        t.github.revoke_all("octavia");
        let expired = "Session expired — please log out and sign in again to reconnect your GitHub account.";
        expect_problem(&octavia.get("/api/v1/repos").await, 401, expired);
    })
    .await;
}

#[tokio::test]
async fn connecting_puts_exactly_our_webhook_on_the_repository() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        connected(&octavia.post(INSTALL).await);
        let hook = hook(t);
        assert_eq!(hook.url, our_url(t));
        let events: BTreeSet<_> = hook.events.iter().map(String::as_str).collect();
        assert_eq!(events, BTreeSet::from(["issues", "pull_request"]));
        assert_eq!((hook.active, hook.content_type.as_str(), hook.insecure_ssl.as_str()), (true, "json", "0"));
        let secret = secret(&hook);
        assert_eq!(secret.len(), 64);
        assert!(secret.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)), "64 hex digits");
        let writes: Vec<_> =
            t.github.calls().into_iter().filter(|call| call.path.contains("/hooks") && call.method != "GET").collect();
        assert!(writes.iter().all(|call| call.user.as_deref() == Some("octavia")), "her token manages her webhook");
        expect_reviews(t).await;
    })
    .await;
}

#[tokio::test]
async fn a_repository_is_connected_once_and_every_connection_has_a_secret_of_its_own() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        t.github.repo("acme/other").private().admin("octavia").write("nectr-bot");
        octavia.connect(SHOP).await;
        expect_problem(&octavia.post(INSTALL).await, 400, "Repo already connected");
        expect_problem(&octavia.post("/api/v1/repos/ACME/Shop/install").await, 400, "Repo already connected");
        octavia.connect("acme/other").await;
        assert_ne!(secret(&hook(t)), secret(&t.github.hooks_of("acme/other")[0]));
        t.settle().await;
    })
    .await;
}

#[tokio::test]
async fn names_have_no_case_and_answers_have_githubs_spelling() {
    nectr(async |t| {
        t.github.repo("Acme-Labs/My.Shop").private().admin("octavia").write("nectr-bot");
        let octavia = t.sign_in("octavia").await;
        let answer = octavia.post("/api/v1/repos/aCME-lABS/mY.sHOP/install").await;
        assert_eq!(answer.json()["repo"], "Acme-Labs/My.Shop", "{}", answer.text());
        t.settle().await;
        for name in ["acme-labs/my.shop", "ACME-LABS/MY.SHOP", "Acme-Labs/My.Shop"] {
            assert_eq!(octavia.see(&format!("/api/v1/repos/{name}")).await["repo"], "Acme-Labs/My.Shop");
        }
        let answer = octavia.delete("/api/v1/repos/ACME-LABS/MY.SHOP/install").await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({"status": "disconnected", "repo": "Acme-Labs/My.Shop"}))
        );
    })
    .await;
}

#[tokio::test]
async fn connecting_needs_admin_rights_and_says_so() {
    nectr(async |t| {
        let sam = t.sign_in("sam").await;
        expect_failed(&sam.post(INSTALL).await, "admin rights on acme/shop");
        assert!(t.github.hooks_of(SHOP).is_empty());
        assert_eq!(sam.see("/api/v1/repos").await[0]["is_connected"], false);
        t.github.repo(SHOP).admin("sam");
        connected(&sam.post(INSTALL).await);
        t.settle().await;
    })
    .await;
}

#[tokio::test]
async fn connecting_a_repository_that_is_not_there_or_not_shown_is_the_same_refusal() {
    nectr(async |t| {
        t.github.repo("globex/secret").private();
        let octavia = t.sign_in("octavia").await;
        let mut said = BTreeSet::new();
        for repo in ["globex/secret", "globex/nothing"] {
            let answer = octavia.post(&format!("/api/v1/repos/{repo}/install")).await;
            expect_failed(&answer, repo);
            said.insert(answer.text().replace(repo, "it"));
        }
        assert_eq!(said.len(), 1, "the answers must not tell a secret repository from none: {said:?}");
    })
    .await;
}

#[tokio::test]
async fn connecting_while_github_is_down_leaves_nothing_and_works_afterwards() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        t.github.outage(true);
        expect_problem(&octavia.post(INSTALL).await, 502, "Failed to install webhook: GitHub is unreachable");
        t.github.recover();
        for (call, failure) in [
            ("GET /repos/*/*", Failure::CutBefore),
            ("GET /repos/*/*/hooks", Failure::Status(503, "bad gateway".to_owned())),
            ("POST /repos/*/*/hooks", Failure::Status(502, "bad gateway".to_owned())),
            ("POST /repos/*/*/hooks", Failure::CutBefore),
        ] {
            t.github.fail_next(call, failure.clone());
            expect_problem(&octavia.post(INSTALL).await, 502, "Failed to install webhook: GitHub is unreachable");
            assert!(t.github.hooks_of(SHOP).is_empty(), "{call} {failure:?}");
        }
        t.github.revoke_all("octavia");
        expect_problem(&octavia.post(INSTALL).await, 401, "Session expired — please log out and sign in again.");
        let octavia = t.sign_in("octavia").await;
        connected(&octavia.post(INSTALL).await);
        expect_reviews(t).await;
    })
    .await;
}

#[tokio::test]
async fn when_github_has_too_many_webhooks_already_it_says_so_and_leaves_nothing() {
    nectr(async |t| {
        for n in 0..20 {
            t.github.repo(SHOP).hook(&format!("https://ci.example/{n}"), None);
        }
        let octavia = t.sign_in("octavia").await;
        expect_failed(&octavia.post(INSTALL).await, "cannot have more than 20 hooks");
        assert_eq!(t.github.hooks_of(SHOP).len(), 20);
        assert_eq!(octavia.see("/api/v1/repos").await[0]["is_connected"], false);
        assert_eq!(reconcile(&t.app).await.unwrap(), 0, "a definite no leaves no row");
    })
    .await;
}

#[tokio::test]
async fn connecting_many_times_at_once_makes_one_connection_with_one_webhook() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        let answers = join_all((0..6).map(|_| octavia.post(INSTALL))).await;
        let (mut good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(good.len(), 1);
        connected(good.remove(0));
        bad.into_iter().for_each(|answer| expect_problem(answer, 400, "Repo already connected"));
        hook(t);
        expect_reviews(t).await;
    })
    .await;
}

#[tokio::test]
async fn p34_two_users_of_one_repository_have_two_webhooks_two_complete_inboxes_and_one_review() {
    nectr(async |t| {
        let (octavia, ada) = (t.sign_in("octavia").await, t.sign_in("ada").await);
        let (one, two) = tokio::join!(octavia.post(INSTALL), ada.post(INSTALL));
        assert_ne!(connected(&one), connected(&two));
        let hooks = t.github.hooks_of(SHOP);
        assert_eq!(hooks.len(), 2);
        assert_ne!(hooks[0].url, hooks[1].url);
        assert_ne!(secret(&hooks[0]), secret(&hooks[1]));
        let plain = our_url(t);
        assert_eq!(hooks.iter().filter(|hook| hook.url == plain).count(), 1, "{hooks:?}");
        let own = hooks.iter().find(|hook| hook.url != plain).unwrap();
        let random = own.url.strip_prefix(&format!("{plain}?connection=")).unwrap_or_else(|| panic!("{}", own.url));
        assert!(random.len() >= 16, "{random}");
        t.settle().await;

        let pr = t.open_pull(|pr| pr.adds("a.txt", "one\n"));
        t.settle().await;
        t.take_review(pr);
        let mut outcomes = BTreeSet::new();
        for person in [&octavia, &ada] {
            let inbox = person.see("/api/v1/deliveries").await;
            let items = inbox["items"].as_array().unwrap();
            assert_eq!(items.len(), 1, "{inbox}");
            assert_eq!((&items[0]["event"], &items[0]["status"]), (&json!("pull_request"), &json!("completed")));
            outcomes.insert(items[0]["outcome"].as_str().unwrap().to_owned());
            let reviews = person.see("/api/v1/reviews").await;
            assert_eq!(reviews["items"].as_array().unwrap().len(), 1, "{reviews}");
            assert_eq!(reviews["items"][0]["pr_number"], pr.number);
            assert_eq!(person.see(SHOWN).await["webhook"]["verified"], true);
        }
        assert_eq!(outcomes, BTreeSet::from(["already_reviewed".to_owned(), "reviewed".to_owned()]));

        assert_eq!(octavia.delete(INSTALL).await.status, 200);
        hook(t);
        t.github.push(pr, |files| files.adds("b.txt", "two\n"));
        t.settle().await;
        t.take_review(pr);
    })
    .await;
}

#[tokio::test]
async fn a_webhook_of_ours_that_belongs_to_nobody_is_adopted_with_a_new_secret() {
    nectr(async |t| {
        t.github.repo(SHOP).hook(&format!("{}?connection=0123456789abcdef", our_url(t)), Some("an old secret"));
        let orphan = hook(t);
        let octavia = t.sign_in("octavia").await;
        connected(&octavia.post(INSTALL).await);
        let adopted = hook(t);
        assert_eq!((adopted.id, &adopted.url), (orphan.id, &orphan.url));
        assert_eq!(secret(&adopted).len(), 64, "a new secret");
        assert_eq!(adopted.events.len(), 2);
        expect_reviews(t).await;
        assert_eq!(octavia.see(SHOWN).await["webhook"]["id"], orphan.id);
    })
    .await;
}

#[tokio::test]
async fn webhooks_of_others_are_not_touched() {
    nectr(async |t| {
        let foreign =
            ["https://ci.example/hook".to_owned(), format!("{}/other", our_url(t)), format!("{}?tenant=2", our_url(t))];
        for url in &foreign {
            t.github.repo(SHOP).hook(url, Some("not ours"));
        }
        let octavia = t.connected().await;
        t.settle().await;
        let untouched = || {
            let hooks = t.github.hooks_of(SHOP);
            let kept: Vec<_> = hooks.iter().filter(|hook| foreign.contains(&hook.url)).map(secret).collect();
            assert_eq!(kept, ["not ours"; 3]);
            hooks.len()
        };
        assert_eq!(untouched(), 4);
        octavia.delete(INSTALL).await;
        assert_eq!(untouched(), 3);
        octavia.connect(SHOP).await;
        t.settle().await;
        assert_eq!(untouched(), 4);
    })
    .await;
}

#[tokio::test]
async fn a_webhook_whose_creation_was_answered_doubtfully_is_found_and_not_made_twice() {
    for failure in [Failure::CutAfterWork, Failure::StatusAfterWork(502, "bad gateway".to_owned())] {
        nectr(async |t| {
            let octavia = t.sign_in("octavia").await;
            t.github.fail_next("POST /repos/*/*/hooks", failure.clone());
            connected(&octavia.post(INSTALL).await);
            assert_eq!(t.github.count("POST /repos/*/*/hooks"), 1);
            let hook = hook(t);
            expect_reviews(t).await;
            let shown = octavia.see(SHOWN).await;
            assert_eq!((&shown["webhook"]["id"], &shown["webhook"]["verified"]), (&json!(hook.id), &json!(true)));
        })
        .await;
    }
}

/// Connects while GitHub makes the webhook, says nothing, and cannot be asked about it.
async fn left_in_the_middle(t: &T) -> Person {
    let octavia = t.sign_in("octavia").await;
    t.github.fail_next("GET /repos/*/*/hooks", Failure::Delay(Duration::ZERO));
    t.github.fail_next("POST /repos/*/*/hooks", Failure::CutAfterWork);
    t.github.fail_next("GET /repos/*/*/hooks", Failure::CutBefore);
    expect_problem(&octavia.post(INSTALL).await, 502, "Failed to install webhook: GitHub is unreachable");
    hook(t);
    assert_eq!(octavia.see("/api/v1/repos").await[0]["is_connected"], false);
    octavia
}

#[tokio::test]
async fn a_webhook_nobody_could_look_for_is_used_by_the_next_try() {
    nectr(async |t| {
        let octavia = left_in_the_middle(t).await;
        let orphan = hook(t);
        connected(&octavia.post(INSTALL).await);
        assert_eq!(hook(t).id, orphan.id);
        expect_reviews(t).await;
        assert_eq!(reconcile(&t.app).await.unwrap(), 0, "nothing is left to settle");
        hook(t);
    })
    .await;
}

#[tokio::test]
async fn a_webhook_nobody_could_look_for_is_removed_with_the_next_sweep() {
    nectr(async |t| {
        let octavia = left_in_the_middle(t).await;
        t.github.outage(true);
        assert_eq!(reconcile(&t.app).await.unwrap(), 0, "GitHub cannot be asked: later");
        t.github.recover();
        t.pass(minutes(3));
        assert_eq!(reconcile(&t.app).await.unwrap(), 1);
        assert!(t.github.hooks_of(SHOP).is_empty());
        assert_eq!(reconcile(&t.app).await.unwrap(), 0);
        connected(&octavia.post(INSTALL).await);
        expect_reviews(t).await;
    })
    .await;
}

#[tokio::test]
async fn what_a_process_that_died_while_connecting_left_is_cleaned_up_at_the_next_start() {
    for told_github in [false, true] {
        let house = House::build().await;
        let t = house.start(&[]).await;
        let octavia = t.sign_in("octavia").await;
        die_while_connecting(&t, &octavia, told_github).await;
        t.shut_down().await;

        house.clock.advance(minutes(3));
        let t = house.start(&[]).await;
        // What every start begins with.
        nectr::sweep::once(&t.app).await;
        assert!(t.github.hooks_of(SHOP).is_empty(), "told GitHub: {told_github}");
        let octavia = t.sign_in("octavia").await;
        connected(&octavia.post(INSTALL).await);
        hook(&t);
        expect_reviews(&t).await;
        t.shut_down().await;
        house.database.remove().await;
    }
}

#[tokio::test]
async fn what_a_process_that_died_while_connecting_left_stands_in_nobodys_way() {
    let house = House::build().await;
    let t = house.start(&[]).await;
    let octavia = t.sign_in("octavia").await;
    die_while_connecting(&t, &octavia, true).await;
    let url = t.url.clone();
    t.shut_down().await;

    house.clock.advance(minutes(3));
    // Reached under the same address as before, as a real server is.
    let t = house.start(&[("BACKEND_URL", &url)]).await;
    let answer = House::ask(&t, Method::POST, INSTALL, &octavia.token).await;
    connected(&answer);
    hook(&t);
    nectr::sweep::once(&t.app).await;
    hook(&t);
    t.shut_down().await;
    house.database.remove().await;
}

/// Leaves behind what a process does that is killed between telling GitHub and hearing from it, or just before.
async fn die_while_connecting(t: &T, octavia: &Person, told_github: bool) {
    let me = octavia.see("/auth/me").await;
    let repo = RepoRef { id: RepoId(t.github.repo_id(SHOP)), name: RepoName::parse(SHOP).unwrap() };
    let github_user = me["github_id"].as_i64().unwrap();
    let place = Place { table: "installations", column: "secret", github_user, repo: Some(repo.id) };
    let new = NewInstallation {
        user: UserId(me["id"].as_i64().unwrap()),
        repo: repo.clone(),
        secret: t.app.sealer.seal(place, "0123"),
    };
    let id = t.app.store.begin_connecting(new, noon() - hours(1)).await.unwrap().unwrap();
    if told_github {
        let url = our_url(t);
        assert_eq!(t.app.store.claim_hook(id, repo.id, &url, None).await.unwrap(), Claim::Ours);
        t.github.repo(SHOP).hook(&url, Some("0123"));
    }
    assert_eq!(t.app.store.installation(id).await.unwrap().unwrap().state, InstallationState::Connecting);
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_stop_the_connection_half_way() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        t.github.latency(Duration::from_millis(50));
        let left = octavia.request(Method::POST, INSTALL).timeout(Duration::from_millis(20)).send().await;
        assert!(left.is_err(), "GitHub alone takes longer");
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut tick = interval(Duration::from_millis(20));
        while octavia.get(SHOWN).await.status != 200 {
            assert!(Instant::now() < deadline, "the connection came to nothing");
            tick.tick().await;
        }
        t.github.recover();
        hook(t);
        expect_reviews(t).await;
    })
    .await;
}

#[tokio::test]
async fn p47_a_ping_that_arrives_before_github_has_told_us_the_webhooks_id_is_answered_and_proves_it() {
    nectr(async |t| {
        t.github.pings(Pings::BeforeAnswer);
        let octavia = t.sign_in("octavia").await;
        connected(&octavia.post(INSTALL).await);
        let sent = t.github.deliveries();
        assert_eq!(sent.len(), 1);
        assert_eq!(
            (sent[0].delivery.event.as_str(), sent[0].answer.status),
            ("ping", Some(200)),
            "{:?}",
            sent[0].answer
        );
        assert!(sent[0].answer.body.contains("pong"), "{}", sent[0].answer.body);
        let webhook = &octavia.see(SHOWN).await["webhook"];
        assert_eq!((&webhook["id"], &webhook["verified"]), (&json!(hook(t).id), &json!(true)));
        expect_reviews(t).await;
    })
    .await;
}

#[tokio::test]
async fn a_connected_repository_is_shown_exactly_and_its_webhook_as_it_proves_itself() {
    nectr_with(&[("GRAPH", "off")], async |t| {
        let octavia = t.sign_in("octavia").await;
        t.pass(minutes(1));
        let id = octavia.connect(SHOP).await;
        let hook = hook(t);
        let off = json!({"status": "off", "finished_at": null, "error": null});
        let expect = async |webhook: Value| {
            let shown = octavia.see(SHOWN).await;
            assert_eq!(instant(&shown["connected_at"]), noon() + minutes(1));
            let scan: BTreeSet<_> = shown["scan"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(scan, BTreeSet::from(["error", "finished_at", "status"]));
            let status = shown["scan"]["status"].as_str().unwrap();
            assert!(["off", "queued", "running", "done", "failed"].contains(&status), "{status}");
            let mut last = shown["webhook"]["last_delivery_at"].clone();
            if !last.is_null() {
                last = json!(instant(&last).timestamp());
            }
            let mut got = shown.clone();
            got["webhook"]["last_delivery_at"] = last;
            let expected = json!({
                "installation_id": id, "repo": SHOP, "repo_id": t.github.repo_id(SHOP), "is_active": true,
                "connected_at": shown["connected_at"], "webhook": webhook,
                "bot": {"login": "nectr-bot", "can_review": true, "hint": null},
                "scan": shown["scan"], "graph": off,
                "catch_up": {"at": null, "redelivered": 0, "looked_at": 0, "error": null},
            });
            assert_eq!(got, expected);
        };
        expect(json!({"id": hook.id, "verified": false, "last_delivery_at": null, "last_status": null, "state": "ok", "hint": null})).await;
        t.pass(minutes(1));
        t.settle().await;
        let at = (noon() + minutes(2)).timestamp();
        expect(json!({"id": hook.id, "verified": true, "last_delivery_at": at, "last_status": 200, "state": "ok", "hint": null})).await;
        t.pass(minutes(1));
        expect_reviews(t).await;
        let at = (noon() + minutes(3)).timestamp();
        expect(json!({"id": hook.id, "verified": true, "last_delivery_at": at, "last_status": 202, "state": "ok", "hint": null})).await;
    })
    .await;
}

#[tokio::test]
async fn a_bot_that_was_not_invited_is_said_to_be_missing_until_it_is() {
    nectr(async |t| {
        t.github.repo(SHOP).without("nectr-bot");
        let octavia = t.connected().await;
        t.settle().await;
        let hint = "Invite nectr-bot to acme/shop as a collaborator so that it can review pull requests.";
        let missing = json!({"login": "nectr-bot", "can_review": false, "hint": hint});
        assert_eq!(octavia.see(SHOWN).await["bot"], missing);
        t.github.fail_times(9, "GET /repos/*/*", Failure::Status(502, "bad gateway".to_owned()));
        assert_eq!(octavia.see(SHOWN).await["bot"], missing, "while GitHub cannot be asked, what was last known");
        t.github.recover();
        t.github.repo(SHOP).write("nectr-bot");
        let invited = json!({"login": "nectr-bot", "can_review": true, "hint": null});
        assert_eq!(octavia.see(SHOWN).await["bot"], invited);
    })
    .await;
}

#[tokio::test]
async fn who_looks_again_and_again_does_not_begin_learning_each_time() {
    nectr(async |t| {
        let octavia = t.connected_only().await;
        octavia.see(SHOWN).await;
        let not_there = || Failure::Status(404, json!({"message": "Not Found"}).to_string());
        t.github.fail_times(9, TREE, not_there());
        t.settle().await;
        let asked = t.github.count(TREE);
        assert_ne!(asked, 0);
        for _ in 0..3 {
            octavia.see(SHOWN).await;
            t.settle().await;
        }
        assert_eq!(t.github.count(TREE), asked);
        t.github.recover();
        t.pass(minutes(10));
        octavia.see(SHOWN).await;
        t.settle().await;
        assert!(t.github.count(TREE) > asked);
    })
    .await;
}

const TREE: &str = "GET /repos/*/*/git/trees/*";

#[tokio::test]
async fn without_a_code_graph_its_routes_say_so_and_only_of_connected_repositories() {
    nectr_with(&[("GRAPH", "off")], async |t| {
        let octavia = t.connected_only().await;
        t.deliver().await;
        for (method, tail) in [(Method::POST, "/rescan"), (Method::GET, "/files"), (Method::GET, "/graph")] {
            let answer = octavia.request(method, &format!("{SHOWN}{tail}")).send().await.unwrap();
            expect_problem(&answer, 503, "Neo4j not configured");
        }
        expect_problem(&octavia.get(&format!("{SHOWN}/profile")).await, 404, "Not scanned yet");
        t.work().await;
    })
    .await;
}

#[tokio::test]
async fn disconnecting_removes_the_webhook_and_keeps_what_was() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        let id = octavia.connect(SHOP).await;
        expect_reviews(t).await;
        let answer = octavia.delete(INSTALL).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"status": "disconnected", "repo": SHOP})));
        assert!(t.github.hooks_of(SHOP).is_empty());

        let kept = t.app.store.installation(InstallationId(id)).await.unwrap().unwrap();
        assert_eq!(kept.state, InstallationState::Disconnected);
        expect_problem(&octavia.get(SHOWN).await, 404, "Repo not connected");
        for list in ["reviews", "deliveries"] {
            let shown = octavia.see(&format!("/api/v1/{list}")).await;
            assert_eq!(shown["items"].as_array().unwrap().len(), 1, "what was is still shown: {shown}");
        }
        expect_problem(&octavia.delete(INSTALL).await, 404, "Installation not found");

        let again = octavia.connect(SHOP).await;
        assert_ne!(again, id, "rows are never used again");
        t.settle().await;
        assert_eq!(octavia.see(SHOWN).await["installation_id"], again);
        expect_reviews(t).await;
    })
    .await;
}

#[tokio::test]
async fn disconnecting_what_is_not_connected_is_404() {
    nectr(async |t| {
        let (octavia, ada) = (t.connected().await, t.sign_in("ada").await);
        t.settle().await;
        expect_problem(&ada.delete(INSTALL).await, 404, "Installation not found");
        expect_problem(&octavia.delete("/api/v1/repos/acme/nowhere/install").await, 404, "Installation not found");
        hook(t);
    })
    .await;
}

#[tokio::test]
async fn disconnecting_succeeds_whatever_github_says_and_its_webhook_is_used_when_connecting_again() {
    for failure in [
        Failure::Status(403, "{\"message\": \"no\"}".to_owned()),
        Failure::Status(422, "{\"message\": \"no\"}".to_owned()),
        Failure::Status(502, "bad gateway".to_owned()),
        Failure::CutBefore,
        Failure::RateLimited { retry_after: Duration::from_secs(60) },
    ] {
        nectr(async |t| {
            let octavia = t.connected().await;
            t.settle().await;
            let left = hook(t);
            t.github.fail_next("DELETE /repos/*/*/hooks/*", failure.clone());
            let answer = octavia.delete(INSTALL).await;
            assert_eq!((answer.status, answer.json()), (200, json!({"status": "disconnected", "repo": SHOP})));
            hook(t);

            t.open_pull(|pr| pr.adds("a.txt", "one\n"));
            let sent = t.deliver().await;
            assert_eq!(sent[0].answer.status, Some(200), "known and ignored: {:?}", sent[0].answer);
            t.work().await;
            let row = t.deliveries().await.remove(0);
            assert_eq!((row.status, row.outcome.as_deref()), (Status::Ignored, Some("disconnected")));

            t.pass(minutes(2));
            connected(&octavia.post(INSTALL).await);
            let adopted = hook(t);
            assert_eq!(adopted.id, left.id);
            assert_ne!(secret(&adopted), secret(&left));
            expect_reviews(t).await;
        })
        .await;
    }
}

#[tokio::test]
async fn disconnecting_works_after_the_webhook_the_rights_or_the_repository_are_gone() {
    nectr(async |t| {
        t.github.repo("acme/two").private().admin("octavia").write("nectr-bot");
        t.github.repo("acme/three").private().admin("octavia").write("nectr-bot");
        let octavia = t.connected().await;
        octavia.connect("acme/two").await;
        octavia.connect("acme/three").await;
        t.settle().await;
        t.github.delete_repo(SHOP);
        t.github.repo("acme/two").without("octavia");
        t.github.revoke_all("octavia");
        for repo in [SHOP, "acme/two", "acme/three"] {
            let answer = octavia.delete(&format!("/api/v1/repos/{repo}/install")).await;
            assert_eq!((answer.status, answer.json()), (200, json!({"status": "disconnected", "repo": repo})));
        }
        t.github.drop_deliveries();
    })
    .await;
}

#[tokio::test]
async fn disconnecting_twice_at_once_disconnects_once() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.settle().await;
        let answers = join_all((0..4).map(|_| octavia.delete(INSTALL))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        answers.iter().filter(|answer| answer.status != 200).for_each(|answer| {
            expect_problem(answer, 404, "Installation not found");
        });
        assert!(t.github.hooks_of(SHOP).is_empty());
    })
    .await;
}

#[tokio::test]
async fn p50_a_renamed_and_transferred_repository_goes_on_under_its_new_name() {
    for transferred_first in [false, true] {
        nectr(async |t| {
            let octavia = t.sign_in("octavia").await;
            let id = octavia.connect(SHOP).await;
            let pr = t.open_pull(|pr| pr.adds("a.txt", "one\n"));
            t.settle().await;
            t.take_review(pr);
            if transferred_first {
                t.github.transfer_repo(SHOP, "globex");
                t.github.rename_repo("globex/shop", "Store");
            } else {
                t.github.rename_repo(SHOP, "Store");
                t.github.transfer_repo("acme/store", "globex");
            }
            t.github.push(pr, |files| files.adds("b.txt", "two\n"));
            t.settle().await;
            t.take_review(pr);

            let shown = octavia.see("/api/v1/repos/GLOBEX/store").await;
            assert_eq!((&shown["installation_id"], &shown["repo"]), (&json!(id), &json!("globex/Store")));
            let list = octavia.see("/api/v1/repos").await;
            assert_eq!((&list[0]["full_name"], &list[0]["installation_id"]), (&json!("globex/Store"), &json!(id)));
            let reviews = octavia.see("/api/v1/reviews?repo=globex/store").await;
            assert_eq!(reviews["items"].as_array().unwrap().len(), 2, "those under the old name too: {reviews}");
            expect_problem(&octavia.post("/api/v1/repos/globex/Store/install").await, 400, "Repo already connected");
            let answer = octavia.delete("/api/v1/repos/globex/store/install").await;
            assert_eq!(
                (answer.status, answer.json()),
                (200, json!({"status": "disconnected", "repo": "globex/Store"}))
            );
            assert!(t.github.hooks_of("globex/Store").is_empty());
        })
        .await;
    }
}

#[tokio::test]
async fn a_name_the_list_shows_works_even_if_no_delivery_told_of_the_rename() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        let id = octavia.connect(SHOP).await;
        t.settle().await;
        t.github.rename_repo(SHOP, "store");
        let list = octavia.see("/api/v1/repos").await;
        assert_eq!((&list[0]["full_name"], &list[0]["installation_id"]), (&json!("acme/store"), &json!(id)));
        assert_eq!(octavia.see("/api/v1/repos/acme/store").await["repo"], "acme/store");
        t.github.rename_repo("acme/store", "emporium");
        let answer = octavia.delete("/api/v1/repos/acme/emporium/install").await;
        assert_eq!((answer.status, answer.json()), (200, json!({"status": "disconnected", "repo": "acme/emporium"})));
        assert!(t.github.hooks_of("acme/emporium").is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_was_open_when_a_repository_is_connected_is_reviewed_as_far_as_set() {
    nectr_with(&[("REVIEW_ON_CONNECT", "2")], async |t| {
        let quiet = t.open_pull(|pr| pr.title("Quiet").adds("quiet.txt", "one\n"));
        t.pass(hours(8 * 24));
        let third = t.open_pull(|pr| pr.title("Third").adds("third.txt", "one\n"));
        t.pass(minutes(1));
        let second = t.open_pull(|pr| pr.title("Second").adds("second.txt", "one\n"));
        t.pass(minutes(1));
        let first = t.open_pull(|pr| pr.title("First").adds("first.txt", "one\n"));
        let draft = t.open_pull(|pr| pr.draft().adds("draft.txt", "one\n"));
        let closed = t.open_pull(|pr| pr.adds("closed.txt", "one\n"));
        t.github.close(closed);

        let octavia = t.connected().await;
        t.settle().await;
        t.take_review(first);
        t.take_review(second);
        for pr in [third, quiet, draft, closed] {
            assert!(t.github.take_reviews(pr).is_empty(), "{pr:?}");
        }
        let reviews = octavia.see("/api/v1/reviews").await;
        assert_eq!(reviews["items"].as_array().unwrap().len(), 2, "{reviews}");
    })
    .await;
}

#[tokio::test]
async fn nothing_that_was_open_before_is_reviewed_unless_asked_for() {
    nectr(async |t| {
        let pr = t.open_pull(|pr| pr.adds("a.txt", "one\n"));
        t.connected().await;
        t.settle().await;
        assert!(t.github.take_reviews(pr).is_empty());
    })
    .await;
}
