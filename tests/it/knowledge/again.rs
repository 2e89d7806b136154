//! Learning that came to nothing, or was overtaken: it is made up for, without anybody having to ask.

use nectr::{accounts::study, domain::graph::Build};

use super::{furnish, learned, paths, push, rescan, scanned, shop, state};
use crate::support::{SHOP, T, graph::file, hours, minutes, nectr};

/// How the graph and the scan stand.
async fn states(t: &T) -> [String; 2] {
    let octavia = t.sign_in("octavia").await;
    let (graph, scan) = (state(&octavia, "graph").await, state(&octavia, "scan").await);
    [graph, scan].map(|state| state["status"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_the_bot_was_not_shown_is_looked_for_again_by_itself_and_ever_more_rarely() {
    nectr(async |t| {
        furnish(t);
        t.github.repo(SHOP).without("nectr-bot");
        t.connected().await;
        t.settle().await;
        assert_eq!(study::catch_up(&t.app).await.unwrap(), 0, "not at once");
        t.pass(minutes(61));
        assert!(study::catch_up(&t.app).await.unwrap() > 0);
        t.settle().await;
        t.pass(hours(1));
        assert_eq!(states(t).await, ["failed", "failed"]);
        t.pass(hours(30)).settle().await;
        assert!(study::catch_up(&t.app).await.unwrap() > 0);
        t.settle().await;
        t.pass(hours(23));
        assert_eq!(study::catch_up(&t.app).await.unwrap(), 0, "once a day in the end");

        t.github.repo(SHOP).write("nectr-bot");
        t.pass(hours(2));
        assert!(study::catch_up(&t.app).await.unwrap() > 0);
        t.settle().await;
        assert_eq!(states(t).await, ["done", "done"]);
        assert_eq!(paths(&t.sign_in("octavia").await).await.len(), 4);
        t.pass(hours(48));
        assert_eq!(study::catch_up(&t.app).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn whoever_looks_after_inviting_the_bot_has_the_repository_learned() {
    nectr(async |t| {
        furnish(t);
        t.github.repo(SHOP).without("nectr-bot");
        t.connected().await;
        t.settle().await;
        assert_eq!(states(t).await, ["failed", "failed"], "the hint is read");
        t.github.repo(SHOP).write("nectr-bot");
        assert_eq!(states(t).await, ["queued", "queued"], "and followed");
        t.settle().await;
        assert_eq!(states(t).await, ["done", "done"]);
    })
    .await;
}

#[tokio::test]
async fn a_build_that_was_overtaken_reads_the_branch_again_instead_of_putting_back_what_it_read() {
    nectr(async |t| {
        let octavia = learned(t).await;
        let graph = t.app.graph.as_ref().unwrap().ready().await.unwrap();
        push(t, |files| files.adds("src/new.rs", "// new\n"));
        t.github.forget_calls();
        let (person, tree) = (octavia.clone(), t.github.hold_next("GET /repos/*/*/git/trees/*"));
        let asked = tokio::spawn(async move { rescan_only(&person).await });
        let overtake = async {
            tree.arrived().await;
            // Another worker, whose answer came from a GitHub that was further.
            let mut scan = graph.scan(shop(t)).await.unwrap().unwrap();
            let from = Some(scan.generation);
            (scan.generation, scan.tree) = (scan.generation + 1, "further".to_owned());
            let repo = t.app.store.connected_repository(shop(t)).await.unwrap().unwrap();
            let repository = nectr::domain::graph::RepositoryFact { repo, default_branch: "main".to_owned() };
            let (gone, moved) = (Vec::new(), Vec::new());
            let build = Build { repository, scan, from, files: vec![file("further.rs")], gone, moved };
            graph.build(&build).await.unwrap();
            tree.release();
        };
        let work = async {
            while !asked.is_finished() {
                t.work_once().await;
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(overtake, work);
        t.work().await;
        asked.await.unwrap();
        let graph_reads = t.github.count("GET /repos/*/*");
        assert_eq!(graph_reads, 2, "once in vain, once more");
        assert_eq!(rescan(t, &octavia).await.json(), scanned(5));
    })
    .await;
}

async fn rescan_only(person: &crate::support::Person) -> u16 {
    person.post(super::RESCAN).await.status
}
