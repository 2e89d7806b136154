//! Trees as git has them: folders inside folders, each with a name of its own.

use serde_json::{Value, json};

use super::Acme;

impl Acme {
    async fn tree(&self, reference: &str) -> Value {
        self.get("octavia", &format!("/repos/acme/shop/git/trees/{reference}")).await.json()
    }
}

/// Path, mode and type of each entry.
fn rows(tree: &Value) -> Vec<[&str; 3]> {
    let entries = tree["tree"].as_array().unwrap().iter();
    entries.map(|entry| ["path", "mode", "type"].map(|field| entry[field].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_folder_is_listed_alone_or_with_everything_below_it() {
    let acme = Acme::new().await;
    acme.github.repo("acme/shop").file("src-old.rs", "").file("src/a/deep.rs", "d\n").file("src/z.rs", "zz\n");
    acme.github.repo("acme/shop").executable("run", "#!/bin/sh\n").link("latest", "run").submodule("lib").tag("v1");
    let root = acme.tree("main").await;
    let expected = [
        ["latest", "120000", "blob"],
        ["lib", "160000", "commit"],
        ["run", "100755", "blob"],
        ["src-old.rs", "100644", "blob"],
        ["src", "040000", "tree"],
    ];
    assert_eq!((rows(&root), &root["truncated"]), (expected.to_vec(), &json!(false)));
    assert_eq!(
        (root["tree"][1].get("size"), root["tree"][1].get("url"), &root["tree"][0]["size"]),
        (None, None, &json!(3))
    );

    let src = root["tree"][4]["sha"].as_str().unwrap();
    let inside = acme.tree(src).await;
    assert_eq!(rows(&inside).iter().map(|row| row[0]).collect::<Vec<_>>(), ["a", "lib.rs", "z.rs"]);
    assert_eq!(inside["sha"], src);
    let all = acme.tree(&format!("{src}?recursive=1")).await;
    assert_eq!(rows(&all).iter().map(|row| row[0]).collect::<Vec<_>>(), ["a", "a/deep.rs", "lib.rs", "z.rs"]);
    for reference in ["HEAD", "v1", "refs%2Fheads%2Fmain", root["sha"].as_str().unwrap()] {
        assert_eq!(acme.tree(reference).await["tree"], root["tree"], "{reference}");
    }
    assert_eq!(acme.tree("none").await["message"], "Not Found");
    assert_eq!(acme.github.unknown_calls(), [""; 0]);
}

#[tokio::test]
async fn folders_have_the_same_name_as_long_as_they_hold_the_same() {
    let acme = Acme::new().await;
    acme.github.repo("acme/shop").file("a/x.rs", "1\n").file("b/y.rs", "1\n");
    let names = async || {
        let tree = acme.tree("main").await;
        let name = |at: usize| tree["tree"][at]["sha"].as_str().unwrap().to_owned();
        (tree["sha"].clone(), name(0), name(1))
    };
    let before = names().await;
    acme.github.push_to_default("acme/shop", "sam", |files| files.modifies("a/x.rs", "1\n", "2\n"));
    let after = names().await;
    assert!(before.0 != after.0 && before.1 != after.1, "{before:?} {after:?}");
    assert_eq!(before.2, after.2);
}

#[tokio::test]
async fn a_long_listing_is_cut_where_the_story_says() {
    let acme = Acme::new().await;
    acme.github.add_files("acme/shop", (0..9).map(|n| (format!("d/{n}.rs"), String::new())));
    // d, nine files in it, src, src/lib.rs.
    for (limit, shown, cut) in [(12, 12, false), (11, 11, true), (1, 1, true)] {
        acme.github.truncate_trees(limit);
        let tree = acme.tree("main?recursive=1").await;
        assert_eq!((rows(&tree).len(), &tree["truncated"]), (shown, &json!(cut)), "{limit}");
    }
    assert_eq!(acme.tree("main").await["truncated"], false);
}

#[tokio::test]
async fn an_empty_repository_has_no_tree_no_file_and_nobody() {
    let acme = Acme::new().await;
    acme.github.repo("acme/new").admin("octavia").empty();
    let tree = acme.get("octavia", "/repos/acme/new/git/trees/main").await;
    assert_eq!((tree.status, &tree.json()["message"]), (409, &json!("Git Repository is empty.")));
    assert_eq!(acme.get("octavia", "/repos/acme/new/contents/README.md").await.status, 404);
    assert_eq!(acme.get("octavia", "/repos/acme/new/contributors").await.status, 204);
    acme.github.push_to_default("acme/new", "octavia", |files| files.adds("README.md", "# New\n"));
    assert_eq!(acme.get("octavia", "/repos/acme/new/contents/README.md").await.status, 200);
}
