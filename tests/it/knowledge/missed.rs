//! What happened while nobody listened, and what a graph has lost, is learned all the same.

use nectr::accounts::study;
use serde_json::json;

use super::{LIB, World, ask, files, furnish, learned, paths, state, touching};
use crate::support::{SHOP, T, hours, minutes, nectr};

const INSTALL: &str = "/api/v1/repos/acme/shop/install";

/// Number, state and known places of the pull requests over the library.
async fn over_lib(t: &T) -> (Vec<(i64, &'static str)>, Vec<(i64, usize)>) {
    let open = ask(t, &["src/lib.rs"], &[]).await.open;
    (touching(t, "src/lib.rs").await, open.iter().map(|open| (open.number.0, open.touch.hunks.len())).collect())
}

#[tokio::test]
async fn pull_requests_that_were_open_before_are_known() {
    nectr(async |t| {
        furnish(t);
        let open = t.open_pull(|pr| pr.modifies("src/lib.rs", LIB, "// open\n"));
        let closed = t.open_pull(|pr| pr.modifies("src/lib.rs", LIB, "// closed\n"));
        t.github.close(closed);
        t.github.drop_deliveries();
        t.connected().await;
        t.settle().await;
        assert_eq!(touching(t, "src/lib.rs").await, [(open.number, "open")]);
    })
    .await;
}

#[tokio::test]
async fn what_happened_between_two_connections_is_made_up_for_and_nothing_closed_is_told_as_open() {
    nectr(async |t| {
        let octavia = learned(t).await;
        let [closed, merged, open] = ["// closed\n", "// merged\n", "// open\n"]
            .map(|text| t.open_pull(|pr| pr.modifies("src/lib.rs", LIB, text)));
        t.settle().await;
        for pr in [closed, merged, open] {
            t.take_review(pr);
        }
        let (before, places) = over_lib(t).await;
        assert!(before.iter().all(|(_, state)| *state == "open") && places.iter().all(|(_, hunks)| *hunks > 0));

        octavia.delete(INSTALL).await;
        t.pass(hours(24 * 3));
        t.github.close(closed);
        t.github.merge(merged);
        let new = t.open_pull(|pr| pr.modifies("src/lib.rs", LIB, "// new\n"));
        t.github.drop_deliveries();
        t.settle().await;

        let octavia = t.sign_in("octavia").await;
        octavia.connect(SHOP).await;
        t.github.forget_calls();
        t.settle().await;
        let (after, places) = over_lib(t).await;
        let states =
            [(closed.number, "closed"), (merged.number, "merged"), (open.number, "open"), (new.number, "open")];
        assert_eq!(after, states);
        assert_eq!(places, [(open.number, 1), (new.number, 0)], "what is known of places is not forgotten");
        assert_eq!(t.github.count("POST /graphql"), 5, "profile, merged, open, one looked at, issues");
    })
    .await;
}

#[tokio::test]
async fn a_graph_that_lost_its_memory_is_told_everything_again() {
    let world = World::new().await;
    let t = world.start(&[]).await;
    furnish(&t);
    let old = t.open_pull(|pr| pr.modifies("src/lib.rs", LIB, "// faster\n"));
    t.github.merge(old);
    t.github.drop_deliveries();
    t.connected().await;
    t.settle().await;
    assert_eq!(study::catch_up(&t.app).await.unwrap(), 0);
    t.shut_down().await;

    world.database.lose_graph().await;
    let t = world.start(&[]).await;
    let octavia = t.sign_in("octavia").await;
    assert_eq!(state(&octavia, "graph").await["status"], "queued");
    assert_eq!(study::catch_up(&t.app).await.unwrap(), 2);
    t.settle().await;
    assert_eq!(state(&octavia, "graph").await["status"], "done");
    assert_eq!((paths(&octavia).await.len(), files(&octavia).await[2].1), (4, 1));
    assert_eq!(study::catch_up(&t.app).await.unwrap(), 0);
    t.shut_down().await;
    world.database.remove().await;
}

#[tokio::test]
async fn facts_that_died_waiting_for_the_graph_are_learned_when_it_is_back() {
    let world = World::new().await;
    let t = world.start(&[("NEO4J_URI", "bolt://127.0.0.1:1")]).await;
    furnish(&t);
    t.connected().await;
    let bug = t.github.open_issue(SHOP, "sam", "It is slow");
    t.settle().await;
    t.github.edit_issue(SHOP, bug, "It is very slow");
    t.settle().await;
    // One of them asks for all, and which is not said.
    for _ in 0..8 {
        t.pass(hours(30)).settle().await;
    }
    let dead = t.app.store.queue_depth().await.unwrap().dead;
    assert!(dead > 2, "beside the files and the history: {dead}");
    t.pass(hours(2));
    assert_eq!(study::catch_up(&t.app).await.unwrap(), 2, "the files and the history, which died too, but no fact");
    t.shut_down().await;

    let t = world.start(&[]).await;
    assert_eq!(ask(&t, &[], &[bug]).await.issues.len(), 0);
    assert!(study::catch_up(&t.app).await.unwrap() >= 3, "what died, the files and the history");
    t.pass(minutes(5)).settle().await;
    assert_eq!(ask(&t, &[], &[bug]).await.issues[0].title, "It is very slow");
    assert_eq!(paths(&t.sign_in("octavia").await).await.len(), 4);
    assert_eq!(state(&t.sign_in("octavia").await, "graph").await["error"], json!(null));
    t.shut_down().await;
    world.database.remove().await;
}
