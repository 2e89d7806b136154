//! Which files belong together, at the borders of every threshold.

use nectr::domain::graph::{CoChange, FEW_FILES, PullFact, Question};
use nectr::domain::{PrNumber, RepoId};
use nectr::graph::CodeGraph;

use crate::support::graph::*;

/// Pull requests that touch these files, numbered from `from` on.
fn pulls(from: i64, count: i64, files: &[&str]) -> Vec<PullFact> {
    (from..from + count).map(|number| pull(number).touching(files)).collect()
}

async fn learned(graph: &dyn CodeGraph, repo: RepoId, pulls: &[Vec<PullFact>]) {
    let names = ["a.rs", "a_test.rs", "b.rs", "x.rs"];
    graph.build(&first(repo, &names)).await.unwrap();
    graph.learn_pulls(repo, &pulls.concat()).await.unwrap();
}

async fn missing(graph: &dyn CodeGraph, repo: RepoId, files: &[&str]) -> Vec<(String, String, i64, i64)> {
    let found = ask(graph, repo, files).await.co_changes;
    found.into_iter().map(|CoChange { path, with, both, of }| (path, with, both, of)).collect()
}

fn told(path: &str, with: &str, both: i64, of: i64) -> (String, String, i64, i64) {
    (path.to_owned(), with.to_owned(), both, of)
}

#[tokio::test]
async fn eight_together_are_enough_and_seven_are_not() {
    on_every_backend(async |graph, repo| {
        learned(graph, repo, &[pulls(1, 7, &["a.rs", "a_test.rs"]), pulls(100, 40, &["x.rs"])]).await;
        assert_eq!(missing(graph, repo, &["a.rs"]).await, []);
        graph.learn_pulls(repo, &pulls(50, 1, &["a.rs", "a_test.rs"])).await.unwrap();
        assert_eq!(missing(graph, repo, &["a.rs"]).await, [told("a_test.rs", "a.rs", 8, 8)]);
        assert_eq!(missing(graph, repo, &["a.rs", "a_test.rs"]).await, [], "it is part of the change");
    })
    .await;
}

#[tokio::test]
async fn nine_of_ten_are_enough_and_nine_of_eleven_are_not() {
    on_every_backend(async |graph, repo| {
        let together = pulls(1, 9, &["a.rs", "a_test.rs"]);
        learned(graph, repo, &[together, pulls(20, 1, &["a.rs"]), pulls(100, 60, &["x.rs"])]).await;
        assert_eq!(missing(graph, repo, &["a.rs"]).await, [told("a_test.rs", "a.rs", 9, 10)]);
        graph.learn_pulls(repo, &pulls(30, 1, &["a.rs"])).await.unwrap();
        assert_eq!(missing(graph, repo, &["a.rs"]).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_in_every_fifth_pull_request_belongs_to_none() {
    on_every_backend(async |graph, repo| {
        // 8 of 40 pull requests: together exactly five times as often as by chance.
        learned(graph, repo, &[pulls(1, 8, &["a.rs", "a_test.rs"]), pulls(100, 32, &["x.rs"])]).await;
        assert_eq!(missing(graph, repo, &["a.rs"]).await, [told("a_test.rs", "a.rs", 8, 8)]);
        graph.learn_pulls(repo, &pulls(50, 1, &["a_test.rs"])).await.unwrap();
        assert_eq!(missing(graph, repo, &["a.rs"]).await, []);
    })
    .await;
}

#[tokio::test]
async fn how_common_a_file_is_is_counted_over_all_pull_requests() {
    on_every_backend(async |graph, repo| {
        // The file that every change touches is no news, however many of its touches are older than the latest 200.
        let together = pulls(1_000, 20, &["a.rs", "a_test.rs"]);
        learned(graph, repo, &[pulls(1, 250, &["a_test.rs"]), together, pulls(2_000, 900, &["x.rs"])]).await;
        assert_eq!(missing(graph, repo, &["a.rs"]).await, [], "20 * 1170 < 5 * 20 * 270");
        graph.learn_pulls(repo, &pulls(3_000, 180, &["x.rs"])).await.unwrap();
        assert_eq!(missing(graph, repo, &["a.rs"]).await, [told("a_test.rs", "a.rs", 20, 20)]);
    })
    .await;
}

#[tokio::test]
async fn only_merged_pull_requests_of_people_with_few_files_count() {
    on_every_backend(async |graph, repo| {
        let pair = ["a.rs", "a_test.rs"];
        learned(graph, repo, &[pulls(1, 7, &pair), pulls(100, 60, &["x.rs"])]).await;
        let many: Vec<_> = (0..=FEW_FILES - 2).map(|n| format!("more-{n}.rs")).collect();
        let many: Vec<_> = pair.into_iter().chain(many.iter().map(String::as_str)).collect();
        let others = [
            pull(50).open().touching(&pair),
            pull(51).closed().touching(&pair),
            pull(52).by_bot("bot").touching(&pair),
            pull(53).touching(&many),
            // One that only touches one of them would change `of`, did it count.
            pull(54).by_bot("bot").touching(&["a.rs"]),
        ];
        graph.learn_pulls(repo, &others).await.unwrap();
        assert_eq!(many.len(), FEW_FILES + 1);
        assert_eq!(missing(graph, repo, &["a.rs"]).await, []);
        graph.learn_pulls(repo, &[pull(55).touching(&many[..FEW_FILES])]).await.unwrap();
        assert_eq!(missing(graph, repo, &["a.rs"]).await, [told("a_test.rs", "a.rs", 8, 8)]);
        let asked = Question { number: PrNumber(55), ..question(repo, &["a.rs"]) };
        assert_eq!(graph.ask(&asked).await.unwrap().co_changes, [], "nor does the one asked about");
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_gone_is_not_missed() {
    on_every_backend(async |graph, repo| {
        learned(graph, repo, &[pulls(1, 8, &["a.rs", "a_test.rs", "nowhere.rs"]), pulls(100, 60, &["x.rs"])]).await;
        graph.learn_pulls(repo, &[pull(200).open().touching(&["a_test.rs"])]).await.unwrap();
        assert_eq!(missing(graph, repo, &["a.rs"]).await, [told("a_test.rs", "a.rs", 8, 8)]);
        graph.build(&next(repo, 1, &[], &["a_test.rs"])).await.unwrap();
        assert_eq!(missing(graph, repo, &["a.rs"]).await, []);
    })
    .await;
}

#[tokio::test]
async fn each_missing_file_is_named_once_with_its_surest_witness_and_the_surest_first() {
    on_every_backend(async |graph, repo| {
        let pulls = [
            pulls(1, 9, &["a.rs", "a_test.rs", "b.rs"]),
            pulls(20, 1, &["a.rs"]),
            pulls(30, 3, &["b.rs", "x.rs", "a_test.rs"]),
            pulls(100, 80, &["y.rs"]),
        ];
        learned(graph, repo, &pulls).await;
        assert_eq!(
            missing(graph, repo, &["a.rs", "a_test.rs"]).await,
            [told("b.rs", "a_test.rs", 12, 12)],
            "a.rs says so too, but less surely"
        );
        assert_eq!(
            missing(graph, repo, &["a.rs"]).await,
            [told("a_test.rs", "a.rs", 9, 10), told("b.rs", "a.rs", 9, 10)]
        );
        let mut long: Vec<_> = (0..100).map(|n| format!("other-{n}.rs")).collect();
        long.insert(0, "a.rs".to_owned());
        long.push("b.rs".to_owned());
        let long: Vec<_> = long.iter().map(String::as_str).collect();
        assert_eq!(missing(graph, repo, &long).await, [told("a_test.rs", "a.rs", 9, 10)], "b.rs is in the change");
    })
    .await;
}

#[tokio::test]
async fn there_are_at_most_twenty_missing_files() {
    on_every_backend(async |graph, repo| {
        let names: Vec<_> = (0..38).map(|n| format!("f{n:02}.rs")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        graph.build(&first(repo, &names)).await.unwrap();
        let near: Vec<_> = ["a.rs"].into_iter().chain(names[..19].iter().copied()).collect();
        let far: Vec<_> = ["b.rs"].into_iter().chain(names[19..].iter().copied()).collect();
        let facts = [pulls(1, 8, &near), pulls(20, 9, &far), pulls(100, 100, &["x.rs"])];
        graph.learn_pulls(repo, &facts.concat()).await.unwrap();
        let found = missing(graph, repo, &["a.rs", "b.rs"]).await;
        assert_eq!(found.len(), 20);
        assert_eq!(found[0], told("f19.rs", "b.rs", 9, 9), "more of them say so");
        assert_eq!(found[19], told("f00.rs", "a.rs", 8, 8));
    })
    .await;
}
