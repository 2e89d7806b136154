//! Every file of a repository, whole or in pieces.

use super::*;
use crate::github::Tree;

fn paths(tree: &Tree) -> Vec<&str> {
    tree.files.iter().map(|file| file.path.as_str()).collect()
}

#[tokio::test]
async fn files_are_listed_without_links_and_submodules_at_any_reference() {
    let (sandbox, github, _) = sandbox(|sandbox| {
        let repo =
            sandbox.repo("acme/api").file("b.rs", "b\n").file("a/b/c.rs", "").executable("a/run.sh", "#!/bin/sh\n");
        repo.link("link", "b.rs").submodule("vendor/lib").tag("v1");
        sandbox.push_to_default("acme/api", "sam", |files| files.adds("later.rs", "x\n"));
    })
    .await;
    let tree = github.bot().tree(&repo(), "HEAD").await.unwrap();
    assert_eq!(paths(&tree), ["a/b/c.rs", "a/run.sh", "b.rs", "later.rs"]);
    assert_eq!((tree.files[1].size, tree.files[0].size), (10, 0));
    assert_eq!(tree, github.bot().tree(&repo(), "main").await.unwrap());
    assert_eq!(tree, github.bot().tree(&repo(), &tree.sha).await.unwrap(), "the same name, the same tree");
    assert_eq!(paths(&github.bot().tree(&repo(), "v1").await.unwrap()), ["a/b/c.rs", "a/run.sh", "b.rs"]);
    let error = github.bot().tree(&repo(), "none").await.unwrap_err();
    assert!(matches!(error, GitHubError::NotFound { .. }), "{error:?}");
    let again: Vec<u16> =
        sandbox.calls().iter().filter(|call| call.path.ends_with("/HEAD")).map(|call| call.status).collect();
    github.bot().tree(&repo(), "HEAD").await.unwrap();
    assert_eq!((again, sandbox.calls().last().unwrap().status), (vec![200], 304), "what is known costs nothing");
    assert_eq!(sandbox.unknown_calls(), [""; 0]);
}

#[tokio::test]
async fn a_listing_cut_short_is_completed_folder_by_folder() {
    let (sandbox, github, _) = sandbox(|sandbox| {
        let files = (0..4).flat_map(|a| (0..3).map(move |b| (format!("dir{a}/sub{b}/file.rs"), format!("{a}{b}"))));
        sandbox.add_files("acme/api", files.chain([("root.rs".to_owned(), String::new())]));
    })
    .await;
    let whole = github.bot().tree(&repo(), "HEAD").await.unwrap();
    assert_eq!(whole.files.len(), 13);
    for limit in [5, 6, 7, 28] {
        sandbox.truncate_trees(limit);
        sandbox.forget_calls();
        assert_eq!(github.bot().tree(&repo(), "HEAD").await.unwrap(), whole, "{limit}");
        let calls = sandbox.calls().len();
        // One try, the root, and the four folders; where those do not fit, each alone and the three in it.
        assert_eq!(calls, if limit < 6 { 2 + 4 * (2 + 3) } else { 2 + 4 }, "{limit}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_listed_at_all_is_an_error_not_half_a_tree() {
    let entry = json!({"path": "a.rs", "mode": "100644", "type": "blob", "sha": SHA, "size": 1, "url": "https://x"});
    let fake = always(200, json!({"sha": SHA, "url": "https://x", "tree": [entry], "truncated": true})).await;
    let error = fake.github().0.bot().tree(&repo(), "HEAD").await.unwrap_err();
    assert!(matches!(&error, GitHubError::Protocol(words) if words.contains("more entries")), "{error:?}");
    assert_eq!(
        fake.asked(),
        ["GET /repos/acme/api/git/trees/HEAD?recursive=1".to_owned(), format!("GET /repos/acme/api/git/trees/{SHA}")],
        "the branch may move on: what follows is asked for by name"
    );
}

#[tokio::test]
async fn folders_without_end_end_after_a_thousand_requests() {
    let fake = Fake::start(|seen| {
        let cut = seen.path.contains("recursive");
        let deeper = json!({"path": "again", "mode": "040000", "type": "tree", "sha": SHA, "url": "https://x"});
        Reply::json(json!({"sha": SHA, "url": "https://x", "tree": [deeper], "truncated": cut}))
    })
    .await;
    let error = fake.github().0.bot().tree(&repo(), "HEAD").await.unwrap_err();
    assert!(matches!(&error, GitHubError::Protocol(words) if words.contains("1000 requests")), "{error:?}");
    assert_eq!(fake.seen().len(), 1_000);
}

#[tokio::test]
async fn names_that_git_would_not_check_out_are_left_out() {
    let names = ["../up", "/root", "a//b", "", "a/./b", "nul\0", "a/../b", "good", "go..od/.x", "wörter/\"q\""];
    let entry = |name: &str| json!({"path": name, "mode": "100644", "type": "blob", "sha": SHA, "size": 1});
    let entries: Vec<Value> = names.iter().map(|name| entry(name)).collect();
    let fake = always(200, json!({"sha": SHA, "tree": entries, "truncated": false})).await;
    let tree = fake.github().0.bot().tree(&repo(), "feature/x y").await.unwrap();
    assert_eq!(paths(&tree), ["go..od/.x", "good", "wörter/\"q\""]);
    assert_eq!(fake.asked(), ["GET /repos/acme/api/git/trees/feature%2Fx%20y?recursive=1"]);
}

#[tokio::test]
async fn an_empty_repository_says_so() {
    let (_sandbox, github, _) = sandbox(|sandbox| {
        sandbox.repo("acme/api").empty();
    })
    .await;
    let error = github.bot().tree(&repo(), "HEAD").await.unwrap_err();
    assert!(matches!(&error, GitHubError::Rejected { status: 409, message } if message.contains("empty")), "{error:?}");
}

#[tokio::test]
async fn a_hundred_thousand_files_are_one_request() {
    let (sandbox, github, _) = sandbox(|sandbox| {
        let name = |n: usize| format!("packages/p{:02}/src/module{:03}/file{n}.rs", n % 40, n % 700);
        sandbox.add_files("acme/api", (0..70_000).map(|n| (name(n), format!("{n}"))));
    })
    .await;
    let tree = github.bot().tree(&repo(), "HEAD").await.unwrap();
    assert_eq!((tree.files.len(), sandbox.calls().len()), (70_000, 1));
}
