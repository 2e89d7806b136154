//! The files that are touched most, and which change together.

use nectr::domain::graph::FileMap;

use crate::support::graph::*;

#[tokio::test]
async fn the_map_shows_most_touched_files_first_and_how_often_two_change_together() {
    on_every_backend(async |graph, repo| {
        graph.build(&first(repo, &["a.rs", "b.rs", "c.rs", "d.rs", "e.rs"])).await.unwrap();
        let pulls = [
            pull(1).touching(&["c.rs", "a.rs"]),
            pull(2).open().touching(&["a.rs", "c.rs"]),
            pull(3).closed().by_bot("bot").touching(&["b.rs", "c.rs", "gone.rs"]),
            pull(4).touching(&["b.rs", "a.rs"]),
        ];
        graph.learn_pulls(repo, &pulls).await.unwrap();
        let map = graph.map(repo).await.unwrap();
        let nodes: Vec<_> = map.nodes.iter().map(|node| (node.path.as_str(), node.pulls)).collect();
        assert_eq!(nodes, [("a.rs", 3), ("c.rs", 3), ("b.rs", 2), ("d.rs", 0), ("e.rs", 0)]);
        assert_eq!((map.nodes[0].language.as_deref(), map.nodes[0].size), (Some("Rust"), 10));
        let link = |a: &str, b: &str, weight| (a.to_owned(), b.to_owned(), weight);
        assert_eq!(
            map.links,
            [link("a.rs", "c.rs", 2), link("a.rs", "b.rs", 1), link("b.rs", "c.rs", 1)],
            "heaviest first, then by name; nothing that is gone"
        );
    })
    .await;
}

#[tokio::test]
async fn a_pull_request_over_many_files_links_each_to_each() {
    on_every_backend(async |graph, repo| {
        let names: Vec<_> = (0..60).map(|n| format!("f{n:02}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        graph.build(&first(repo, &names)).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).touching(&names), pull(2).touching(&["f59", "f07"])]).await.unwrap();
        let map = graph.map(repo).await.unwrap();
        assert_eq!((map.nodes.len(), map.links.len()), (60, 60 * 59 / 2));
        assert_eq!(map.links[0], ("f07".to_owned(), "f59".to_owned(), 2));
        assert_eq!(map.links[1..].last(), Some(&("f58".to_owned(), "f59".to_owned(), 1)));
    })
    .await;
}

#[tokio::test]
async fn the_map_has_at_most_seven_hundred_files_and_two_thousand_links() {
    on_every_backend(async |graph, repo| {
        let names: Vec<_> = (0..750).map(|n| format!("f{n:03}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        graph.build(&first(repo, &names)).await.unwrap();
        let mut pulls: Vec<_> = (1..).zip(names.chunks(20)).map(|(n, files)| pull(n).touching(files)).collect();
        pulls.push(pull(100).touching(&["f749", "f748"]));
        graph.learn_pulls(repo, &pulls).await.unwrap();
        let map = graph.map(repo).await.unwrap();
        let nodes: Vec<_> = map.nodes.iter().map(|node| node.path.as_str()).collect();
        let expected: Vec<_> = ["f748", "f749"].into_iter().chain(names[..698].iter().copied()).collect();
        assert_eq!(nodes, expected);
        assert_eq!(map.links.len(), FileMap::MAX_LINKS);
        let link = |a: &str, b: &str, weight| (a.to_owned(), b.to_owned(), weight);
        assert_eq!(map.links[..2], [link("f748", "f749", 2), link("f000", "f001", 1)]);
        // 1,999 links after the heaviest: ten full groups of 190 and 99 of the next.
        assert_eq!(map.links[1_999], expected_link(&names, 1_999 - 1));
    })
    .await;
}

/// The n-th link by name, of groups of twenty neighbours.
fn expected_link(names: &[&str], n: usize) -> (String, String, i64) {
    let group = &names[n / 190 * 20..][..20];
    let pairs = group.iter().enumerate().flat_map(|(at, a)| group[at + 1..].iter().map(move |b| (a, b)));
    let (a, b) = pairs.clone().nth(n % 190).unwrap();
    ((*a).to_string(), (*b).to_string(), 1)
}
