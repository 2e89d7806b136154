//! The files of the graph, the history before it, and the profile: on connect, on request, and through everything that
//! can come in between.

use std::time::Duration;

use nectr::{
    accounts::study,
    domain::task::TaskKind,
    inbox::Work,
    sandbox::{Failure, Sandbox},
};
use serde_json::json;
use tokio::time::{Instant, interval};

use super::{
    LIB, MANIFEST, PROFILE, World, ask, files, furnish, learned, paths, push, rescan, scanned, shop, state, touching,
};
use crate::{
    crash::Process,
    support::{Person, SHOP, database::Database, hours, minutes, nectr, populate},
};

#[tokio::test]
async fn connecting_has_the_files_the_history_and_the_profile_learned() {
    nectr(async |t| {
        furnish(t);
        t.github.repo(SHOP).contributor("sam", 7).stars(3);
        let bug = t.github.open_issue(SHOP, "ada", "It is slow");
        let old = t.open_pull(|pr| pr.body(&format!("Fixes #{bug}")).modifies("src/lib.rs", LIB, "// faster\n"));
        t.github.merge(old);
        t.github.drop_deliveries();

        let octavia = t.sign_in("octavia").await;
        octavia.connect(SHOP).await;
        let queued = json!({"status": "queued", "finished_at": null, "error": null});
        assert_eq!((state(&octavia, "graph").await, state(&octavia, "scan").await), (queued.clone(), queued));
        assert_eq!(octavia.get(PROFILE).await.status, 404);
        t.settle().await;

        let now = t.clock.now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let done = json!({"status": "done", "finished_at": now, "error": null});
        assert_eq!((state(&octavia, "graph").await, state(&octavia, "scan").await), (done.clone(), done));
        let list = octavia.see("/api/v1/repos/acme/shop/files").await;
        let file = |path: &str, language: Option<&str>, size: usize, pulls: i64| json!({"path": path, "language": language, "size": size, "pr_count": pulls});
        assert_eq!(
            list,
            json!({"repo": SHOP, "count": 4, "files": [
                file("Cargo.toml", Some("TOML"), MANIFEST.len(), 0), file("README.md", Some("Markdown"), 7, 0),
                file("src/lib.rs", Some("Rust"), 10, 1), file("web/cart.js", Some("JavaScript"), 24, 0),
            ]})
        );
        let map = octavia.see("/api/v1/repos/acme/shop/graph").await;
        assert_eq!(map["nodes"][0], json!({"id": "src/lib.rs", "language": "Rust", "pr_count": 1}));
        assert_eq!((&map["repo"], &map["links"]), (&json!(SHOP), &json!([])));
        let answer = ask(t, &["src/lib.rs"], &[bug]).await;
        assert_eq!(touching(t, "src/lib.rs").await, [(old.number, "merged")]);
        assert_eq!((answer.experts[0].login.as_str(), answer.issues[0].title.as_str()), ("sam", "It is slow"));

        let profile = octavia.see(PROFILE).await;
        assert_eq!((&profile["repo"], &profile["scanned_at"]), (&json!(SHOP), &json!(now)));
        assert_eq!(profile["package_managers"], json!(["cargo"]));
        assert_eq!(profile["packages"], json!([{"path": "", "name": "shop", "ecosystem": "cargo"}]));
        assert_eq!(profile["statistics"]["stars"], 3);
        assert!(!profile["commit"].as_str().unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn connecting_costs_at_most_twelve_requests_with_history_and_all() {
    nectr(async |t| {
        furnish(t);
        for n in 0..60 {
            let path = format!("src/part_{n}.rs");
            let pr = t.open_pull(|pr| pr.adds(&path, "fn part() {}\n"));
            t.github.merge(pr);
        }
        t.github.drop_deliveries();
        let octavia = t.sign_in("octavia").await;
        t.github.forget_calls();
        octavia.connect(SHOP).await;
        t.settle().await;
        let calls: Vec<_> = t.github.calls().iter().map(|call| format!("{} {}", call.method, call.path)).collect();
        assert!(calls.len() <= 12, "{} calls: {calls:#?}", calls.len());
        assert_eq!(files(&octavia).await.iter().map(|(_, pulls)| pulls).sum::<i64>(), 60);
    })
    .await;
}

#[tokio::test]
async fn a_rescan_of_an_unchanged_tree_costs_four_requests_with_the_profile() {
    nectr(async |t| {
        let octavia = learned(t).await;
        t.github.forget_calls();
        let answer = rescan(t, &octavia).await;
        assert_eq!((answer.status, answer.json()), (200, scanned(4)));
        t.work().await;
        let count = |pattern| t.github.count(pattern);
        let counts = (count("GET /repos/*/*"), count("GET /repos/*/*/git/trees/*"), count("POST /graphql"));
        assert_eq!((counts, t.github.calls().len()), ((1, 2, 1), 4));
    })
    .await;
}

#[tokio::test]
async fn a_rescan_follows_files_that_came_changed_moved_and_went() {
    nectr(async |t| {
        let octavia = learned(t).await;
        let pr = t.open_pull(|pr| pr.modifies("web/cart.js", "export const cart = [];\n", "export const cart = 1;\n"));
        t.settle().await;
        t.take_review(pr);
        assert_eq!(touching(t, "web/cart.js").await, [(pr.number, "open")]);

        push(t, |files| {
            files.adds("src/new.rs", "// new\n").removes("README.md", "# Shop\n").renames_and_modifies(
                "web/cart.js",
                "web/basket.js",
                "export const cart = [];\n",
                "export const cart = [];\n",
            )
        });
        assert_eq!(rescan(t, &octavia).await.json(), scanned(4));
        let found = files(&octavia).await;
        let expected = [("Cargo.toml", 0), ("src/lib.rs", 0), ("src/new.rs", 0), ("web/basket.js", 1)];
        assert_eq!(
            found,
            expected.map(|(path, pulls)| (path.to_owned(), pulls)),
            "who touched the old name did the new"
        );

        push(t, |files| files.adds("README.md", "# Shop\n"));
        rescan(t, &octavia).await;
        assert_eq!(paths(&octavia).await[1], "README.md", "gone is not gone for good");
    })
    .await;
}

#[tokio::test]
async fn a_tree_that_github_cuts_short_is_learned_whole() {
    nectr(async |t| {
        furnish(t);
        t.github.add_files(SHOP, (0..40).map(|n| (format!("docs/{}/{n}.md", n % 4), format!("{n}\n"))));
        t.github.truncate_trees(12);
        let octavia = t.connected().await;
        t.settle().await;
        assert_eq!(paths(&octavia).await.len(), 44);
    })
    .await;
}

#[tokio::test]
async fn an_empty_repository_is_learned_and_stays_no_mystery() {
    nectr(async |t| {
        t.github.repo(SHOP).empty();
        let octavia = t.connected().await;
        t.settle().await;
        assert_eq!(state(&octavia, "graph").await["status"], "done");
        assert_eq!(octavia.see("/api/v1/repos/acme/shop/files").await, json!({"repo": SHOP, "count": 0, "files": []}));
        let profile = octavia.see(PROFILE).await;
        assert_eq!((&profile["languages"], &profile["commit"]), (&json!([]), &json!("")));
        assert_eq!(rescan(t, &octavia).await.json(), scanned(0));
    })
    .await;
}

#[tokio::test]
async fn links_and_submodules_are_no_files() {
    nectr(async |t| {
        furnish(t);
        t.github.repo(SHOP).link("current", "src").submodule("vendored").executable("run.sh", "#!/bin/sh\n");
        let octavia = t.connected().await;
        t.settle().await;
        assert_eq!(paths(&octavia).await, ["Cargo.toml", "README.md", "run.sh", "src/lib.rs", "web/cart.js"]);
    })
    .await;
}

#[tokio::test]
async fn a_repository_that_was_renamed_is_the_same_one() {
    nectr(async |t| {
        let octavia = learned(t).await;
        t.github.rename_repo(SHOP, "store");
        t.github.drop_deliveries();
        push(t, |files| files.adds("src/new.rs", "// new\n"));
        let answer = rescan(t, &octavia).await;
        assert_eq!((answer.status, &answer.json()["files_indexed"]), (200, &json!(5)));
        t.pass(minutes(16));
        octavia.see("/api/v1/repos").await;
        assert_eq!(octavia.see("/api/v1/repos/acme/store/files").await["count"], 5);
    })
    .await;
}

#[tokio::test]
async fn a_bot_that_is_not_shown_the_repository_is_the_reason_given_and_can_be_mended() {
    nectr(async |t| {
        furnish(t);
        t.github.repo(SHOP).without("nectr-bot");
        let octavia = t.connected().await;
        t.settle().await;
        for what in ["graph", "scan"] {
            let state = state(&octavia, what).await;
            assert_eq!((&state["status"], &state["finished_at"]), (&json!("failed"), &json!(null)), "{what}");
            assert!(state["error"].as_str().unwrap().contains("invite it"), "{state}");
        }
        let answer = rescan(t, &octavia).await;
        let told = answer.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 500);
        assert!(told.starts_with("Rescan failed: GitHub does not show acme/shop"), "{told}");

        t.github.repo(SHOP).write("nectr-bot");
        assert_eq!(rescan(t, &octavia).await.json(), scanned(4));
        t.work().await;
        for what in ["graph", "scan"] {
            assert_eq!(state(&octavia, what).await["status"], "done", "{what}");
        }
    })
    .await;
}

#[tokio::test]
async fn another_repository_that_took_the_name_is_not_taken_for_ours() {
    nectr(async |t| {
        let octavia = learned(t).await;
        t.github.delete_repo(SHOP);
        t.github.repo(SHOP).private().admin("octavia").write("nectr-bot").file("theirs.txt", "not ours\n");
        t.github.drop_deliveries();
        // GitHub has not been asked since, so octavia still counts as somebody who may see it.
        let answer = rescan(t, &octavia).await;
        assert_eq!(answer.status, 500, "{}", answer.text());
        t.work().await;
        for what in ["graph", "scan"] {
            let error = state(&octavia, what).await["error"].clone();
            assert!(error.as_str().is_some_and(|error| error.contains("GitHub does not show acme/shop")), "{error}");
        }
        assert_eq!(paths(&octavia).await.len(), 4, "what was learned stays");
    })
    .await;
}

#[tokio::test]
async fn a_build_or_a_scan_killed_in_the_middle_is_done_by_somebody_else() {
    nectr(async |t| {
        furnish(t);
        let octavia = t.connected_only().await;
        // Two workers take the graph and the scan, and die.
        for _ in 0..2 {
            let claimed = t.app.store.claim().await.unwrap().unwrap();
            assert!(matches!(claimed.work, Work::Task { .. }));
        }
        assert_eq!(state(&octavia, "graph").await["status"], "running");
        t.settle().await;
        assert_eq!(state(&octavia, "graph").await["status"], "running", "their leases last");
        t.pass(minutes(2)).settle().await;
        assert_eq!(state(&octavia, "graph").await["status"], "done");
        assert_eq!(state(&octavia, "scan").await["status"], "done");
        assert_eq!(paths(&octavia).await.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn history_goes_on_where_a_rate_limit_stopped_it() {
    nectr(async |t| {
        furnish(t);
        for n in 0..130 {
            let path = format!("src/part_{n}.rs");
            let pr = t.open_pull(|pr| pr.adds(&path, "fn part() {}\n"));
            t.github.merge(pr);
        }
        t.github.drop_deliveries();
        let octavia = t.connected_only().await;
        t.deliver().await;
        // The graph and the scan; then the history is next in line.
        t.work_once().await;
        t.work_once().await;
        let finished = async |kind| {
            let task = t.app.store.latest_task(kind, &t.app.task_key(kind, shop(t))).await.unwrap();
            task.is_some_and(|task| task.finished_at.is_some())
        };
        assert!(finished(TaskKind::Graph).await && finished(TaskKind::Scan).await);
        t.github.fail_next("POST /graphql", Failure::Delay(Duration::ZERO));
        t.github.fail_next("POST /graphql", Failure::RateLimited { retry_after: Duration::from_secs(600) });
        t.github.forget_calls();
        t.work().await;
        assert!(!finished(TaskKind::History).await);
        assert_eq!(files(&octavia).await.iter().filter(|(_, pulls)| *pulls == 1).count(), 100, "the first page");
        assert_eq!(t.github.count("POST /graphql"), 2);
        t.pass(minutes(11)).work().await;
        assert!(finished(TaskKind::History).await);
        assert_eq!(files(&octavia).await.iter().filter(|(_, pulls)| *pulls == 1).count(), 130);
        assert_eq!(t.github.count("POST /graphql"), 4, "the first page is not asked for again; open issues are");
    })
    .await;
}

#[tokio::test]
async fn history_is_learned_once() {
    nectr(async |t| {
        let octavia = learned(t).await;
        push(t, |files| files.adds("src/new.rs", "// new\n"));
        t.github.forget_calls();
        rescan(t, &octavia).await;
        t.work().await;
        assert_eq!(t.github.count("GET /repos/*/*/contributors"), 0);
        // A second connection only looks what was missed, should nobody have listened before.
        let ada = t.sign_in("ada").await;
        ada.connect(SHOP).await;
        t.settle().await;
        assert_eq!(t.github.count("GET /repos/*/*/contributors"), 1);
        assert_eq!(paths(&ada).await.len(), 5);
    })
    .await;
}

#[tokio::test]
async fn work_on_a_repository_outlives_the_connection_that_asked_for_it_if_there_is_another() {
    nectr(async |t| {
        furnish(t);
        let octavia = t.connected_only().await;
        let ada = t.sign_in("ada").await;
        ada.connect(SHOP).await;
        octavia.delete("/api/v1/repos/acme/shop/install").await;
        t.settle().await;
        assert_eq!(state(&ada, "graph").await["status"], "done");
        assert_eq!(paths(&ada).await.len(), 4);

        // With nobody left it is dropped, and asked for anew when somebody connects again.
        push(t, |files| files.adds("src/new.rs", "// new\n"));
        let pr = t.open_pull(|pr| pr.adds("a.txt", "a\n"));
        t.settle().await;
        t.take_review(pr);
        t.github.merge(pr);
        t.deliver().await;
        t.work_once().await;
        ada.delete("/api/v1/repos/acme/shop/install").await;
        t.settle().await;
        ada.connect(SHOP).await;
        assert_eq!(state(&ada, "graph").await["status"], "queued");
        t.settle().await;
        assert_eq!(paths(&ada).await.len(), 6);
    })
    .await;
}

#[tokio::test]
async fn a_repository_connected_when_there_was_nothing_to_learn_for_is_learned_later() {
    let world = World::new().await;
    let t = world.start(&[("GRAPH", "off")]).await;
    furnish(&t);
    let octavia = t.connected().await;
    t.settle().await;
    assert_eq!(state(&octavia, "graph").await, json!({"status": "off", "finished_at": null, "error": null}));
    assert_eq!(state(&octavia, "scan").await["status"], "done");
    assert_eq!(study::catch_up(&t.app).await.unwrap(), 0);
    t.shut_down().await;

    let t = world.start(&[]).await;
    let octavia = t.sign_in("octavia").await;
    assert_eq!(state(&octavia, "graph").await["status"], "queued");
    assert_eq!(study::catch_up(&t.app).await.unwrap(), 2, "the files and the history");
    assert_eq!(study::catch_up(&t.app).await.unwrap(), 0);
    t.settle().await;
    assert_eq!(study::catch_up(&t.app).await.unwrap(), 0);
    assert_eq!(paths(&octavia).await.len(), 4);
    t.shut_down().await;
    world.database.remove().await;
}

#[tokio::test]
async fn of_finished_work_the_last_of_each_kind_outlives_retention() {
    nectr(async |t| {
        let octavia = learned(t).await;
        t.pass(hours(1));
        rescan(t, &octavia).await;
        t.pass(hours(24 * 60));
        t.app.store.prune_rest(30).await.unwrap();
        let octavia = t.sign_in("octavia").await;
        assert_eq!(state(&octavia, "graph").await["status"], "done");
        assert_eq!(state(&octavia, "scan").await["status"], "done");
        t.github.forget_calls();
        assert_eq!(rescan(t, &octavia).await.json(), scanned(4));
        t.work().await;
        assert_eq!(t.github.count("GET /repos/*/*/contributors"), 0, "the history is still known to be learned");
    })
    .await;
}

/// The real binary, killed while GitHub is being asked for the tree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_while_it_learns_goes_on_when_it_is_back() {
    let database = Database::fresh().await;
    let github = Sandbox::start().await.unwrap();
    populate(&github);
    github.repo(SHOP).file("src/lib.rs", LIB);
    let process = Process::new(&github, &database);
    let tree = github.hold_next("GET /repos/*/*/git/trees/*");
    let mut running = process.start().await;
    let octavia = Person::sign_in(&process.url, &github, "octavia").await;
    octavia.connect(SHOP).await;
    tree.arrived().await;
    running.kill().await.unwrap();
    tree.release();
    github.drop_deliveries();

    let mut running = process.start().await;
    let octavia = Person::sign_in(&process.url, &github, "octavia").await;
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut beat = interval(Duration::from_millis(100));
    loop {
        beat.tick().await;
        let shown = octavia.see("/api/v1/repos/acme/shop").await;
        if shown["graph"]["status"] == "done" && shown["scan"]["status"] == "done" {
            break;
        }
        assert!(Instant::now() < deadline, "{shown}");
    }
    assert_eq!(paths(&octavia).await, ["src/lib.rs"]);
    running.kill().await.unwrap();
    database.remove().await;
}
