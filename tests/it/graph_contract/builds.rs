//! Files come, change, move and go.

use nectr::{
    domain::graph::{FileFact, FileRow},
    graph::GraphError,
};

use crate::support::graph::*;

#[tokio::test]
async fn making_the_schema_twice_is_no_mistake() {
    on_every_backend(async |graph, repo| {
        graph.build(&first(repo, &["a.rs"])).await.unwrap();
        graph.prepare().await.unwrap();
        graph.ping().await.unwrap();
        assert_eq!(paths(graph, repo).await, ["a.rs"]);
    })
    .await;
}

#[tokio::test]
async fn a_repository_nobody_has_built_is_empty() {
    on_every_backend(async |graph, repo| {
        assert_eq!(graph.scan(repo).await.unwrap(), None);
        assert_eq!(graph.files(repo).await.unwrap(), []);
        assert_eq!(graph.map(repo).await.unwrap(), Default::default());
        assert_eq!(ask(graph, repo, &["a.rs"]).await, Default::default());
        graph.name_repository(&named(repo, "acme/shop")).await.unwrap();
        assert_eq!(graph.scan(repo).await.unwrap(), None, "a name is no build");
    })
    .await;
}

#[tokio::test]
async fn the_first_build_lists_its_files_by_path() {
    on_every_backend(async |graph, repo| {
        let mut build = first(repo, &["src/b.rs", "src/a.rs", "A.md"]);
        build.files.push(FileFact { path: "logo.png".to_owned(), language: None, size: 70_000_000_000 });
        graph.build(&build).await.unwrap();
        let row = |path: &str| FileRow { path: path.to_owned(), language: Some("Rust".into()), size: 10, pulls: 0 };
        let logo = FileRow { language: None, size: 70_000_000_000, ..row("logo.png") };
        assert_eq!(graph.files(repo).await.unwrap(), [row("A.md"), logo, row("src/a.rs"), row("src/b.rs")]);
        assert_eq!(graph.scan(repo).await.unwrap(), Some(build.scan));
    })
    .await;
}

#[tokio::test]
async fn a_build_changes_what_is_different_and_nothing_else() {
    on_every_backend(async |graph, repo| {
        graph.build(&first(repo, &["same.rs", "changed.rs", "gone.rs"])).await.unwrap();
        let mut build = next(repo, 1, &["changed.rs", "new.rs"], &["gone.rs"]);
        build.files[0] = FileFact { path: "changed.rs".to_owned(), language: Some("Go"), size: 11 };
        graph.build(&build).await.unwrap();
        let files = graph.files(repo).await.unwrap();
        let told: Vec<_> = files.iter().map(|f| (f.path.as_str(), f.language.as_deref(), f.size)).collect();
        let rust = Some("Rust");
        assert_eq!(told, [("changed.rs", Some("Go"), 11), ("new.rs", rust, 10), ("same.rs", rust, 10)]);
        assert_eq!(graph.scan(repo).await.unwrap(), Some(build.scan));
    })
    .await;
}

#[tokio::test]
async fn a_difference_from_another_generation_is_outdated_and_changes_nothing() {
    on_every_backend(async |graph, repo| {
        let nothing_yet = graph.build(&next(repo, 1, &["a.rs"], &[])).await;
        assert!(matches!(nothing_yet, Err(GraphError::Outdated)), "{nothing_yet:?}");
        assert_eq!(graph.scan(repo).await.unwrap(), None);
        graph.build(&first(repo, &["a.rs"])).await.unwrap();
        graph.build(&next(repo, 1, &["b.rs"], &[])).await.unwrap();
        let before = dump(graph, repo, &[]).await;
        for from in [1, 3] {
            let refused = graph.build(&next(repo, from, &["c.rs"], &["a.rs"])).await;
            assert!(matches!(refused, Err(GraphError::Outdated)), "{refused:?}");
        }
        assert_eq!(dump(graph, repo, &[]).await, before);
    })
    .await;
}

#[tokio::test]
async fn a_build_of_everything_removes_what_it_does_not_name() {
    on_every_backend(async |graph, repo| {
        graph.build(&first(repo, &["a.rs", "b.rs"])).await.unwrap();
        graph.build(&next(repo, 1, &["c.rs"], &[])).await.unwrap();
        let mut everything = next(repo, 2, &["b.rs", "d.rs"], &[]);
        everything.from = None;
        graph.build(&everything).await.unwrap();
        assert_eq!(paths(graph, repo).await, ["b.rs", "d.rs"]);
        assert_eq!(graph.scan(repo).await.unwrap(), Some(everything.scan));
    })
    .await;
}

#[tokio::test]
async fn a_first_build_can_be_repeated_even_of_another_tree() {
    on_every_backend(async |graph, repo| {
        graph.build(&first(repo, &["a.rs", "b.rs"])).await.unwrap();
        graph.build(&first(repo, &["a.rs", "b.rs"])).await.unwrap();
        assert_eq!(paths(graph, repo).await, ["a.rs", "b.rs"]);
        graph.build(&first(repo, &["b.rs", "c.rs"])).await.unwrap();
        assert_eq!(paths(graph, repo).await, ["b.rs", "c.rs"]);
    })
    .await;
}

#[tokio::test]
async fn a_build_of_nothing_leaves_nothing() {
    on_every_backend(async |graph, repo| {
        graph.build(&first(repo, &["a.rs"])).await.unwrap();
        let mut nothing = next(repo, 1, &[], &[]);
        nothing.from = None;
        graph.build(&nothing).await.unwrap();
        assert_eq!(paths(graph, repo).await, [""; 0]);
        assert_eq!(graph.scan(repo).await.unwrap(), Some(nothing.scan));
    })
    .await;
}

#[tokio::test]
async fn who_touched_the_old_name_has_touched_the_new_one() {
    on_every_backend(async |graph, repo| {
        graph.build(&first(repo, &["old.rs", "other.rs"])).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).touching(&["old.rs", "other.rs"])]).await.unwrap();
        let mut build = next(repo, 1, &["new.rs"], &["old.rs"]);
        build.moved.push(("old.rs".to_owned(), "new.rs".to_owned()));
        graph.build(&build).await.unwrap();
        assert_eq!(paths(graph, repo).await, ["new.rs", "other.rs"]);
        assert_eq!(graph.files(repo).await.unwrap()[0].pulls, 1);
        let answer = ask(graph, repo, &["new.rs"]).await;
        assert_eq!(numbers(&answer), [1]);
        assert_eq!(answer.related[0].files, 2, "it touched two files, whatever they are called now");
        assert_eq!(numbers(&ask(graph, repo, &["old.rs"]).await), [0_i64; 0]);
    })
    .await;
}

#[tokio::test]
async fn an_open_pull_request_keeps_a_file_that_is_gone_until_it_is_closed() {
    on_every_backend(async |graph, repo| {
        graph.build(&first(repo, &["gone.rs", "stays.rs"])).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).open().touching(&["gone.rs"])]).await.unwrap();
        graph.build(&next(repo, 1, &[], &["gone.rs"])).await.unwrap();
        assert_eq!(paths(graph, repo).await, ["stays.rs"]);
        assert_eq!(numbers(&ask(graph, repo, &["gone.rs"]).await), [1]);
        assert_eq!(graph.map(repo).await.unwrap().nodes.len(), 1);
        graph.learn_pulls(repo, &[pull(2).closed().touching(&["gone.rs", "stays.rs"])]).await.unwrap();
        assert_eq!(numbers(&ask(graph, repo, &["gone.rs"]).await), [2, 1]);
        graph.learn_pulls(repo, &[pull(1).closed().at(1)]).await.unwrap();
        assert_eq!(numbers(&ask(graph, repo, &["gone.rs"]).await), [0_i64; 0]);
        assert_eq!(numbers(&ask(graph, repo, &["stays.rs"]).await), [2]);
        assert_eq!(paths(graph, repo).await, ["stays.rs"]);
    })
    .await;
}

#[tokio::test]
async fn a_file_that_comes_back_does_not_bring_back_who_touched_it() {
    on_every_backend(async |graph, repo| {
        graph.build(&first(repo, &["a.rs"])).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).touching(&["a.rs"])]).await.unwrap();
        graph.build(&next(repo, 1, &[], &["a.rs"])).await.unwrap();
        graph.build(&next(repo, 2, &["a.rs"], &[])).await.unwrap();
        assert_eq!(graph.files(repo).await.unwrap()[0].pulls, 0);
    })
    .await;
}

#[tokio::test]
async fn facts_before_a_build_and_after_it_make_the_same_graph() {
    on_every_backend(async |graph, repo| {
        let pulls = |_| {
            [
                pull(1).touching(&["a.rs", "b.rs", "gone.rs"]),
                pull(2).open().touching(&["b.rs", "new.rs"]),
                pull(3).closed().touching(&["other.rs"]),
            ]
        };
        let build = |repo| first(repo, &["a.rs", "b.rs", "c.rs"]);
        let other = fresh_repo();
        graph.learn_pulls(repo, &pulls(repo)).await.unwrap();
        graph.build(&build(repo)).await.unwrap();
        graph.build(&next(repo, 1, &[], &[])).await.unwrap();
        graph.build(&build(other)).await.unwrap();
        graph.learn_pulls(other, &pulls(other)).await.unwrap();
        graph.build(&next(other, 1, &[], &[])).await.unwrap();
        let more = ["gone.rs", "new.rs", "other.rs"];
        assert_eq!(dump(graph, repo, &more).await, dump(graph, other, &more).await);
        assert_eq!(numbers(&ask(graph, repo, &["a.rs", "new.rs", "other.rs"]).await), [2, 1]);
    })
    .await;
}

#[tokio::test]
async fn a_renamed_repository_is_the_same_repository() {
    on_every_backend(async |graph, repo| {
        graph.name_repository(&named(repo, "acme/shop")).await.unwrap();
        graph.build(&first(repo, &["a.rs"])).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).touching(&["a.rs"])]).await.unwrap();
        let before = dump(graph, repo, &[]).await;
        graph.name_repository(&named(repo, "acme/store")).await.unwrap();
        graph.name_repository(&named(repo, "acme/store")).await.unwrap();
        assert_eq!(dump(graph, repo, &[]).await, before);
        let mut build = next(repo, 1, &["b.rs"], &[]);
        build.repository = named(repo, "acme/store");
        graph.build(&build).await.unwrap();
        assert_eq!(paths(graph, repo).await, ["a.rs", "b.rs"]);
    })
    .await;
}

#[tokio::test]
async fn two_repositories_do_not_mix() {
    on_every_backend(async |graph, repo| {
        let other = fresh_repo();
        graph.build(&first(repo, &["a.rs", "b.rs"])).await.unwrap();
        graph.build(&first(other, &["a.rs"])).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).touching(&["a.rs", "b.rs"])]).await.unwrap();
        graph.learn_pulls(other, &[pull(1).by("bob").open().touching(&["a.rs"])]).await.unwrap();
        graph.learn_issues(&[issue(repo, 1)]).await.unwrap();
        let before = dump(graph, other, &[]).await;
        graph.build(&next(repo, 1, &[], &["a.rs"])).await.unwrap();
        graph.forget_issue(issue(other, 1).issue).await.unwrap();
        assert_eq!(dump(graph, other, &[]).await, before);
        assert_eq!(paths(graph, repo).await, ["b.rs"]);
        let all = dump(graph, repo, &[]).await;
        assert_eq!(all.answers.last().unwrap().1.issues, [issue(repo, 1)]);
    })
    .await;
}
