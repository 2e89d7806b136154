//! What happens to issues and pull requests, and how the graph hears of it.

use nectr::{
    domain::task::TaskKind,
    sandbox::{Answer, Delivery},
    store::deliveries::Status,
};

use super::{LIB, MANIFEST, PROFILE, ask, learned, paths, rescan, shop, state, touching};
use crate::support::{SHOP, T, nectr, nectr_with};

/// The one delivery GitHub has to send, sent.
async fn send(t: &T) -> (Delivery, Answer) {
    let mut deliveries = t.github.drop_deliveries();
    assert_eq!(deliveries.len(), 1, "{deliveries:#?}");
    let delivery = deliveries.remove(0);
    let answer = delivery.send().await;
    (delivery, answer)
}

/// Title, state and labels of an issue, as the graph knows it.
async fn issue(t: &T, number: i64) -> Option<(String, bool, Vec<String>)> {
    let issues = ask(t, &[], &[number]).await.issues;
    issues.into_iter().next().map(|issue| (issue.title, issue.open, issue.labels))
}

fn known(title: &str, open: bool, labels: &[&str]) -> Option<(String, bool, Vec<String>)> {
    Some((title.to_owned(), open, labels.iter().map(|&label| label.to_owned()).collect()))
}

#[tokio::test]
async fn what_happens_to_an_issue_reaches_the_graph() {
    nectr(async |t| {
        learned(t).await;
        t.github.forget_calls();
        let bug = t.github.open_issue(SHOP, "sam", "It is slow");
        t.settle().await;
        assert_eq!(issue(t, bug).await, known("It is slow", true, &[]));
        t.github.edit_issue(SHOP, bug, "It is very slow");
        t.github.label_issue(SHOP, bug, "speed");
        t.settle().await;
        assert_eq!(issue(t, bug).await, known("It is very slow", true, &["speed"]));
        t.github.close_issue(SHOP, bug);
        t.settle().await;
        assert_eq!(issue(t, bug).await, known("It is very slow", false, &["speed"]));
        t.github.reopen_issue(SHOP, bug);
        t.github.unlabel_issue(SHOP, bug, "speed");
        t.settle().await;
        assert_eq!(issue(t, bug).await, known("It is very slow", true, &[]));
        assert!(t.github.calls().is_empty(), "a signed delivery is believed");
        let rows = t.deliveries().await;
        assert!(rows.iter().all(|row| row.outcome.as_deref() == Some("issue_updated")), "{rows:#?}");
    })
    .await;
}

#[tokio::test]
async fn of_issue_deliveries_in_the_wrong_order_the_latest_wins() {
    nectr(async |t| {
        learned(t).await;
        let bug = t.github.open_issue(SHOP, "sam", "It is slow");
        t.github.edit_issue(SHOP, bug, "It is very slow");
        t.github.close_issue(SHOP, bug);
        let mut deliveries = t.github.drop_deliveries();
        deliveries.reverse();
        for delivery in deliveries {
            assert_eq!(delivery.send().await.status, Some(202));
            t.work().await;
            assert_eq!(issue(t, bug).await, known("It is very slow", false, &[]));
        }
    })
    .await;
}

#[tokio::test]
async fn an_issue_that_was_deleted_or_has_moved_away_is_forgotten_for_good() {
    nectr(async |t| {
        learned(t).await;
        let (bug, other) =
            (t.github.open_issue(SHOP, "sam", "It is slow"), t.github.open_issue(SHOP, "sam", "Elsewhere"));
        t.github.repo("acme/other").private().admin("octavia");
        t.settle().await;
        t.github.close_issue(SHOP, bug);
        let late = t.github.drop_deliveries();
        t.github.delete_issue(SHOP, bug);
        t.github.transfer_issue(SHOP, other, "acme/other");
        t.settle().await;
        assert_eq!((issue(t, bug).await, issue(t, other).await), (None, None));
        for delivery in late {
            assert_eq!(delivery.send().await.status, Some(202));
        }
        t.work().await;
        assert_eq!(issue(t, bug).await, None, "what arrives late does not bring it back");
    })
    .await;
}

#[tokio::test]
async fn without_a_graph_issues_are_stored_finished() {
    nectr_with(&[("GRAPH", "off")], async |t| {
        t.connected().await;
        t.settle().await;
        t.github.open_issue(SHOP, "sam", "It is slow");
        let (_, answer) = send(t).await;
        assert_eq!(answer.status, Some(200));
        let row = t.deliveries().await.remove(0);
        assert_eq!((row.status, row.outcome.as_deref()), (Status::Ignored, Some("event_not_used")));
    })
    .await;
}

#[tokio::test]
async fn the_graph_follows_a_pull_request_through_its_life() {
    nectr(async |t| {
        let octavia = learned(t).await;
        let pr = t.open_pull(|pr| pr.modifies("src/lib.rs", LIB, "// one\n"));
        t.settle().await;
        t.take_review(pr);
        assert_eq!(touching(t, "src/lib.rs").await, [(pr.number, "open")]);

        t.github
            .push(pr, |files| files.reverts("src/lib.rs").modifies("web/cart.js", "export const cart = [];\n", "1\n"));
        t.settle().await;
        t.take_review(pr);
        assert_eq!(
            (touching(t, "src/lib.rs").await, touching(t, "web/cart.js").await),
            (vec![], vec![(pr.number, "open")])
        );

        t.github.close(pr);
        t.settle().await;
        assert_eq!(touching(t, "web/cart.js").await, [(pr.number, "closed")]);
        t.github.reopen(pr);
        t.settle().await;
        assert_eq!(touching(t, "web/cart.js").await, [(pr.number, "open")]);

        t.github.merge(pr);
        t.settle().await;
        assert_eq!(touching(t, "web/cart.js").await, [(pr.number, "merged")]);
        assert_eq!(ask(t, &["web/cart.js"], &[]).await.experts[0].login, "sam");
        assert_eq!(state(&octavia, "graph").await["status"], "done");
    })
    .await;
}

#[tokio::test]
async fn a_merge_brings_the_files_up_to_date() {
    nectr(async |t| {
        let octavia = learned(t).await;
        let pr = t.open_pull(|pr| pr.adds("src/new.rs", "// new\n"));
        t.settle().await;
        t.take_review(pr);
        assert_eq!(paths(&octavia).await.len(), 4, "open changes nothing");
        t.github.merge(pr);
        t.settle().await;
        assert!(paths(&octavia).await.contains(&"src/new.rs".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_merge_into_another_branch_has_nothing_learned_again() {
    nectr(async |t| {
        learned(t).await;
        t.github.repo(SHOP).branch("next");
        let pr = t.open_pull(|pr| pr.base("next").modifies("Cargo.toml", MANIFEST, "[package]\n"));
        t.settle().await;
        t.take_review(pr);
        let before = t.app.store.latest_task(TaskKind::Graph, &t.app.task_key(TaskKind::Graph, shop(t))).await.unwrap();
        t.github.merge(pr);
        t.github.forget_calls();
        t.settle().await;
        assert_eq!(
            t.app.store.latest_task(TaskKind::Graph, &t.app.task_key(TaskKind::Graph, shop(t))).await.unwrap(),
            before
        );
        assert_eq!(t.github.count("GET /repos/*/*/git/trees/*"), 0);
    })
    .await;
}

#[tokio::test]
async fn a_merge_into_what_has_become_the_default_branch_is_followed() {
    nectr(async |t| {
        let octavia = learned(t).await;
        t.github.repo(SHOP).branch("next");
        t.github.switch_default_branch(SHOP, "next");
        let pr = t.open_pull(|pr| pr.base("next").adds("src/new.rs", "// new\n"));
        let old = t.open_pull(|pr| pr.base("main").adds("src/old.rs", "// old\n"));
        t.settle().await;
        t.take_review(pr);
        t.take_review(old);
        t.github.merge(pr);
        t.settle().await;
        assert!(paths(&octavia).await.contains(&"src/new.rs".to_owned()));
        let graph = t.app.graph.as_ref().unwrap().ready().await.unwrap();
        assert_eq!(graph.scan(shop(t)).await.unwrap().unwrap().default_branch, "next");

        t.github.forget_calls();
        t.github.merge(old);
        t.settle().await;
        assert_eq!(t.github.count("GET /repos/*/*/git/trees/*"), 0, "what was the default branch is one no longer");
    })
    .await;
}

#[tokio::test]
async fn a_merge_that_touches_a_key_file_has_the_profile_written_again() {
    nectr(async |t| {
        let octavia = learned(t).await;
        assert_eq!(octavia.see(PROFILE).await["packages"][0]["name"], "shop");
        let pr = t.open_pull(|pr| pr.modifies("Cargo.toml", MANIFEST, &MANIFEST.replace("shop", "store")));
        let plain = t.open_pull(|pr| pr.adds("src/new.rs", "// new\n"));
        t.settle().await;
        t.take_review(pr);
        t.take_review(plain);
        t.github.merge(pr);
        t.settle().await;
        assert_eq!(octavia.see(PROFILE).await["packages"][0]["name"], "store");

        t.github.merge(plain);
        t.github.forget_calls();
        t.settle().await;
        assert_eq!(t.github.count("POST /graphql"), 0, "no key file, no scan");
    })
    .await;
}

#[tokio::test]
async fn a_merge_while_the_files_are_being_read_has_them_read_once_more() {
    nectr(async |t| {
        let octavia = learned(t).await;
        let pr = t.open_pull(|pr| pr.adds("src/new.rs", "// new\n"));
        t.settle().await;
        t.take_review(pr);

        let (person, tree) = (octavia.clone(), t.github.hold_next("GET /repos/*/*/git/trees/*"));
        let asked = tokio::spawn(async move { person.post(super::RESCAN).await });
        let other = async {
            tree.arrived().await;
            // The request is on its way when the merge comes; it may be answered with what was before.
            t.github.merge(pr);
            t.deliver().await;
            t.work().await;
            tree.release();
        };
        let build = async {
            while !asked.is_finished() {
                t.work_once().await;
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(build, other);
        assert_eq!(asked.await.unwrap().status, 200);
        t.settle().await;
        assert!(paths(&octavia).await.contains(&"src/new.rs".to_owned()));
        let attempts = t.github.count("GET /repos/*/*/git/trees/HEAD");
        assert!(attempts >= 5, "files and profile on connect and for the rescan, and files once more: {attempts}");
    })
    .await;
}

#[tokio::test]
async fn what_a_changed_text_closes_is_what_counts() {
    nectr(async |t| {
        learned(t).await;
        let bug = t.github.open_issue(SHOP, "sam", "It is slow");
        let pr = t.open_pull(|pr| pr.adds("a.txt", "a\n"));
        t.settle().await;
        t.take_review(pr);
        t.github.edit_body(pr, &format!("Fixes #{bug}"));
        t.settle().await;
        assert_eq!(t.deliveries().await[0].outcome.as_deref(), Some("state_updated"));
        assert_eq!(rescan(t, &t.sign_in("octavia").await).await.status, 200);
    })
    .await;
}
