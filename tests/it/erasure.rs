//! What is to go goes, all of it, and nothing else.

use futures_util::future::join_all;
use nectr::{
    domain::{RepoId, UserId},
    sandbox::Pr,
    sweep,
};
use serde_json::json;

use crate::{
    access::expect_problem,
    intake::beside::Beside,
    support::{Person, SHOP, T, minutes, nectr, person::cookie},
};

const PURGE: &str = "/api/v1/repos/acme/shop/install?purge=true";
const INSTALL: &str = "/api/v1/repos/acme/shop/install";
const SHOWN: &str = "/api/v1/repos/acme/shop";
const REVIEWS: &str = "/api/v1/reviews";
const DELIVERIES: &str = "/api/v1/deliveries";

/// Everything that is kept for people or of repositories.
const TABLES: [&str; 12] = [
    "deliveries",
    "attempts",
    "tasks",
    "reviews",
    "profiles",
    "missed",
    "rejected",
    "former_secrets",
    "access",
    "lanes",
    "installations",
    "erasures",
];

/// The tables that are not empty, with how many rows they have.
async fn kept(t: &T) -> Vec<(&'static str, i64)> {
    let mut beside = Beside::open(t).await;
    let mut kept = Vec::new();
    for table in TABLES {
        match beside.number(&format!("SELECT COUNT(*) FROM {table}")).await {
            0 => {}
            rows => kept.push((table, rows)),
        }
    }
    kept
}

/// Time for what was on its way, and the sweep after it.
async fn later(t: &T) {
    t.pass(minutes(3));
    sweep::once(&t.app).await;
}

fn shop(t: &T) -> RepoId {
    RepoId(t.github.repo_id(SHOP))
}

/// A shop that was connected, reviewed once and learned.
async fn story(story: impl AsyncFnOnce(&T, &Person, Pr)) {
    nectr(async |t| {
        t.github.repo(SHOP).file("Cargo.toml", "[package]\nname = \"shop\"\n").file("src/lib.rs", "pub fn one() {}\n");
        let octavia = t.connected().await;
        let pr = t.open_pull(|pr| pr.title("A secret plan").adds("a.txt", "one\n"));
        t.settle().await;
        t.take_review(pr);
        t.github.open_issue(SHOP, "sam", "It is slow");
        t.settle().await;
        story(t, &octavia, pr).await;
    })
    .await;
}

async fn items(person: &Person, path: &str) -> usize {
    person.see(path).await["items"].as_array().unwrap().len()
}

async fn graph_knows(t: &T) -> (usize, bool) {
    let graph = t.app.graph.as_ref().unwrap().ready().await.unwrap();
    (graph.files(shop(t)).await.unwrap().len(), graph.scan(shop(t)).await.unwrap().is_some())
}

#[tokio::test]
async fn a_purged_repository_leaves_nothing_but_that_its_reviews_were_posted() {
    story(async |t, octavia, pr| {
        assert_eq!(octavia.post("/api/v1/repos/acme/shop/rotate-secret").await.status, 200);
        assert!(items(octavia, DELIVERIES).await > 0 && items(octavia, REVIEWS).await == 1 && graph_knows(t).await.1);
        let answer = octavia.delete(PURGE).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"status": "disconnected", "repo": SHOP})));
        assert_eq!((items(octavia, DELIVERIES).await, items(octavia, REVIEWS).await), (0, 0));
        assert_eq!((graph_knows(t).await, t.github.hooks_of(SHOP).len()), ((0, false), 0));
        later(t).await;
        assert_eq!(kept(t).await, []);
        let words = "SELECT COUNT(*) FROM effects WHERE draft LIKE '%secret plan%' OR draft LIKE '%sam%'";
        let mut beside = Beside::open(t).await;
        assert_eq!((beside.number(words).await, beside.number("SELECT COUNT(*) FROM effects").await), (0, 1));
        expect_problem(&octavia.delete(PURGE).await, 404, "Installation not found");

        // Connected again, the same commit is not reviewed twice, and the next one is.
        octavia.connect(SHOP).await;
        t.settle().await;
        assert_eq!(octavia.post(&format!("{SHOWN}/pulls/{}/review", pr.number)).await.status, 202);
        t.settle().await;
        assert!(t.github.take_reviews(pr).is_empty());
        t.github.push(pr, |files| files.adds("b.txt", "two\n"));
        t.settle().await;
        t.take_review(pr);
    })
    .await;
}

#[tokio::test]
async fn what_somebody_else_has_connected_too_stays_theirs() {
    story(async |t, octavia, pr| {
        let ada = t.sign_in("ada").await;
        ada.connect(SHOP).await;
        t.github.push(pr, |files| files.adds("b.txt", "two\n"));
        t.settle().await;
        t.take_review(pr);
        let (deliveries, known) = (items(&ada, DELIVERIES).await, graph_knows(t).await);
        assert_eq!(octavia.delete(PURGE).await.status, 200);
        later(t).await;
        assert_eq!((items(&ada, DELIVERIES).await, items(&ada, REVIEWS).await), (deliveries, 2));
        assert_eq!((graph_knows(t).await, t.github.hooks_of(SHOP).len()), (known, 1));
        assert_eq!(ada.see(SHOWN).await["scan"]["status"], "done", "what was learned is for all");
        assert_eq!(ada.see("/api/v1/repos/acme/shop/profile").await["repo"], SHOP);
        assert_eq!(items(octavia, DELIVERIES).await, 0);

        assert_eq!(ada.delete(PURGE).await.status, 200);
        later(t).await;
        assert_eq!((kept(t).await, graph_knows(t).await), (vec![], (0, false)));
    })
    .await;
}

#[tokio::test]
async fn what_an_earlier_connection_has_left_can_still_be_purged_and_twice_at_once_is_once() {
    story(async |t, octavia, _| {
        assert_eq!(octavia.delete(INSTALL).await.status, 200);
        assert_eq!(items(octavia, REVIEWS).await, 1, "what was reviewed stays");
        let answers = join_all((0..4).map(|_| octavia.delete(PURGE))).await;
        assert!(answers.iter().all(|answer| [200, 404].contains(&answer.status)));
        assert!(answers.iter().any(|answer| answer.status == 200));
        later(t).await;
        assert_eq!(kept(t).await, []);
    })
    .await;
}

#[tokio::test]
async fn an_erasure_whose_process_died_is_finished_by_the_sweep() {
    story(async |t, octavia, _| {
        let id = UserId(octavia.see("/auth/me").await["id"].as_i64().unwrap());
        t.app.store.begin_erasure(id, shop(t)).await.unwrap();
        assert_eq!(t.github.hooks_of(SHOP).len(), 1);
        later(t).await;
        assert_eq!((kept(t).await, t.github.hooks_of(SHOP).len(), graph_knows(t).await), (vec![], 0, (0, false)));
    })
    .await;
}

#[tokio::test]
async fn what_is_being_worked_on_goes_when_it_has_ended() {
    story(async |t, octavia, pr| {
        t.github.push(pr, |files| files.adds("b.txt", "two\n"));
        t.deliver().await;
        let hold = t.github.hold_next("GET /repos/*/*/pulls/*");
        let purged = async {
            hold.arrived().await;
            assert_eq!(octavia.delete(PURGE).await.status, 200);
            hold.release();
        };
        tokio::join!(t.work(), purged);
        t.github.take_reviews(pr);
        later(t).await;
        assert_eq!((kept(t).await, graph_knows(t).await.1), (vec![], false));
    })
    .await;
}

#[tokio::test]
async fn whoever_deletes_their_account_is_gone_with_everything() {
    story(async |t, octavia, _| {
        t.github.repo("acme/other").private().admin("octavia");
        octavia.connect("acme/other").await;
        t.settle().await;
        let answer = octavia.delete("/auth/me").await;
        assert_eq!((answer.status, answer.json()), (200, json!({"message": "Account deleted"})), "{}", answer.text());
        assert_eq!(cookie(&answer, "access_token").as_deref(), Some(""));
        expect_problem(&octavia.get("/auth/me").await, 401, "Unauthorized");
        assert_eq!(t.github.hooks_of(SHOP).len() + t.github.hooks_of("acme/other").len(), 0);
        later(t).await;
        let mut beside = Beside::open(t).await;
        let people = beside.number("SELECT (SELECT COUNT(*) FROM users) + (SELECT COUNT(*) FROM sessions)").await;
        assert_eq!((people, kept(t).await), (0, vec![]));

        let octavia = t.sign_in("octavia").await;
        assert_eq!(octavia.see("/api/v1/repos").await[0]["is_connected"], false, "a stranger, and welcome");
    })
    .await;
}

#[tokio::test]
async fn an_account_goes_though_github_is_down_or_the_process_dies() {
    story(async |t, octavia, pr| {
        t.github.outage(true);
        let answer = octavia.delete("/auth/me").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        t.github.recover();
        t.github.label(pr, "noise");
        assert_eq!(t.deliver().await[0].answer.status, Some(401), "its webhook is a stranger's now");
        later(t).await;
        assert_eq!(kept(t).await, []);
    })
    .await;
    story(async |t, octavia, _| {
        let id = UserId(octavia.see("/auth/me").await["id"].as_i64().unwrap());
        t.app.store.begin_leaving(id).await.unwrap();
        expect_problem(&octavia.get("/auth/me").await, 401, "Unauthorized");
        later(t).await;
        let users = Beside::open(t).await.number("SELECT COUNT(*) FROM users").await;
        assert_eq!((kept(t).await, users, t.github.hooks_of(SHOP).len()), (vec![], 0, 0));
    })
    .await;
}
