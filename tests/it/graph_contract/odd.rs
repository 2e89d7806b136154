//! Names nobody would choose, and changes of a size nobody would review.

use nectr::domain::graph::{IssueFact, Question, Touch};

use crate::support::graph::*;

/// In the order of their bytes.
fn odd_names() -> Vec<String> {
    // Pseudo-random, so that no index can shorten it.
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_u32(0x4e00 + (state >> 16) % 0x5000).unwrap()
    };
    let long: String = (0..1_300).map(|_| letter()).collect();
    let mut names = vec![
        " leading and trailing ".to_owned(),
        "$1 $path {braces} {rows}".to_owned(),
        "'; DROP TABLE graph_files; --".to_owned(),
        "A.rs".to_owned(),
        "a.rs".to_owned(),
        "a\"quoted\"'twice'.rs".to_owned(),
        "back\\slash\\n.rs".to_owned(),
        "cafe\u{301}.rs".to_owned(),
        "caf\u{e9}.rs".to_owned(),
        "new\nline\ttab.rs".to_owned(),
        "\u{ff5e}.rs".to_owned(),
        "\u{1f980}.rs".to_owned(),
        long,
    ];
    names.sort();
    names
}

#[tokio::test]
async fn odd_paths_are_kept_as_they_are() {
    on_every_backend(async |graph, repo| {
        let names = odd_names();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        graph.build(&first(repo, &names)).await.unwrap();
        assert_eq!(paths(graph, repo).await, names);
        for (number, name) in (1..).zip(&names) {
            graph.learn_pulls(repo, &[pull(number).open().touching(&[name])]).await.unwrap();
        }
        for (number, name) in (1..).zip(&names) {
            let answer = ask(graph, repo, &[name]).await;
            assert_eq!(numbers(&answer), [number], "{name:?}");
            assert_eq!(answer.open[0].touch.path, *name);
        }
        graph.build(&next(repo, 1, &[], &names)).await.unwrap();
        assert_eq!(paths(graph, repo).await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn odd_words_are_kept_as_they_are() {
    on_every_backend(async |graph, repo| {
        let title = "Fix \"quotes\", 'apostrophes', \\ and \u{1f980}; $1 {rows} -- done";
        graph.learn_pulls(repo, &[pull(1).open().by("o'neil").titled(title).touching(&["a.rs"])]).await.unwrap();
        let open = ask(graph, repo, &["a.rs"]).await.open;
        assert_eq!((open[0].title.as_str(), open[0].author.as_str()), (title, "o'neil"));
        let odd =
            IssueFact { title: title.to_owned(), labels: vec![title.to_owned(), String::new()], ..issue(repo, 1) };
        graph.learn_issues(std::slice::from_ref(&odd)).await.unwrap();
        let asked = Question { closes: vec![1], ..question(repo, &[]) };
        assert_eq!(graph.ask(&asked).await.unwrap().issues, [odd]);
    })
    .await;
}

#[tokio::test]
async fn three_thousand_files_in_one_pull_request_are_all_learned() {
    on_every_backend(async |graph, repo| {
        let names: Vec<_> = (0..3_000).map(|n| format!("src/module-{n:04}/mod.rs")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        graph.build(&first(repo, &names)).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).open().touching(&names)]).await.unwrap();
        assert!(graph.files(repo).await.unwrap().iter().all(|file| file.pulls == 1));
        let answer = ask(graph, repo, &names).await;
        assert_eq!((answer.related[0].shared, answer.related[0].files), (100, 3_000));
        graph.learn_pulls(repo, &[pull(1).open().touching(&names[..1]).at(1)]).await.unwrap();
        assert_eq!(graph.files(repo).await.unwrap().iter().map(|file| file.pulls).sum::<i64>(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_file_named_twice_is_touched_once() {
    on_every_backend(async |graph, repo| {
        let mut fact = pull(1).open().touching(&["a.rs", "a.rs", "b.rs"]);
        fact.files.as_mut().unwrap()[1] = Touch { path: "a.rs".to_owned(), hunks: Vec::new() };
        graph.learn_pulls(repo, &[fact]).await.unwrap();
        let answer = ask(graph, repo, &["a.rs"]).await;
        assert_eq!(answer.related[0].files, 2);
        assert_eq!(answer.open.len(), 1);
        assert_eq!(answer.open[0].touch.hunks, [(1, 3)]);
    })
    .await;
}
