//! Where comments may stand.

use serde_json::json;

use super::Acme;
use crate::{
    domain::review::Side,
    sandbox::anchor::{self, Anchor, check},
};

/// The patch of [`Acme`]: hunks at lines 1-6 and 22-27 of the new file.
fn right(line: i64, start: Option<i64>) -> Anchor {
    Anchor { line, side: Side::Right, start: start.map(|line| (line, Side::Right)) }
}

#[tokio::test]
async fn comments_stand_on_added_context_and_removed_lines_only() {
    let acme = Acme::new().await;
    for good in [
        json!({"path": "src/lib.rs", "line": 3, "side": "RIGHT", "body": "added"}),
        json!({"path": "src/lib.rs", "line": 1, "body": "context, right by default"}),
        json!({"path": "src/lib.rs", "line": 25, "side": "LEFT", "body": "removed"}),
        json!({"path": "src/lib.rs", "line": 5, "start_line": 2, "side": "RIGHT", "body": "a range"}),
    ] {
        let answer = acme.review(json!([good])).await;
        assert_eq!(answer.status, 200, "{good} {}", answer.text());
        let path = acme.pull(&format!("/reviews/{}", answer.json()["id"]));
        assert_eq!(acme.ask("nectr-bot", "DELETE", &path).send().await.unwrap().status, 200);
    }
    for (bad, words) in [
        (json!({"path": "src/lib.rs", "line": 15, "body": "between hunks"}), "must be part of the diff"),
        (json!({"path": "src/lib.rs", "line": 2, "side": "LEFT", "body": "context"}), "must be part of the diff"),
        (json!({"path": "src/main.rs", "line": 3, "body": "no such file"}), "path is invalid"),
        (json!({"path": "src/lib.rs", "line": 3, "start_line": 3, "body": "empty"}), "must precede the end line"),
        (json!({"path": "src/lib.rs", "line": 23, "start_line": 3, "body": "two"}), "same hunk"),
        (json!({"path": "src/lib.rs", "line": "3", "body": "text"}), "is not an integer"),
        (json!({"path": "src/lib.rs", "line": 3, "subject_type": "line", "body": "odd"}), "not a permitted key"),
        (json!({"path": "src/lib.rs", "line": 3, "body": " "}), "can't be blank"),
    ] {
        let answer = acme.review(json!([bad])).await;
        assert_eq!(answer.status, 422, "{bad}");
        assert!(answer.text().contains(words), "{bad} {}", answer.text());
    }
    assert!(acme.github.unknown_calls().is_empty());
}

#[tokio::test]
async fn one_bad_comment_refuses_the_whole_review() {
    let acme = Acme::new().await;
    let good = json!({"path": "src/lib.rs", "line": 3, "body": "good"});
    let bad = json!({"path": "src/lib.rs", "line": 15, "body": "bad"});
    assert_eq!(acme.review(json!([good, bad])).await.status, 422);
    assert!(acme.github.pending_reviews(acme.pr).is_empty());
    assert_eq!(acme.review(json!([good])).await.status, 200);
}

#[test]
fn adjacent_hunks_are_still_two() {
    let patch = "@@ -1,2 +1,2 @@\n-a\n+A\n b\n@@ -3,2 +3,2 @@\n c\n-d\n+D";
    assert_eq!(check(Some(patch), right(2, Some(1))), Ok(()));
    assert_eq!(check(Some(patch), right(3, Some(2))), Err(anchor::TWO_HUNKS));
}

#[test]
fn a_hunk_ends_by_its_counts_not_by_its_looks() {
    let patch = "@@ -1 +1,2 @@ fn a() { @@\n--- a/x\n+++ b/x\n++ @@ -9 +9 @@\n\\ No newline at end of file";
    assert_eq!(check(Some(patch), right(2, None)), Ok(()));
    assert_eq!(check(Some(patch), right(9, None)), Err(anchor::NOT_IN_DIFF));
}

#[test]
fn a_range_may_start_on_a_removed_line_of_the_same_hunk() {
    let patch = "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c";
    let anchor = |start| Anchor { line: 2, side: Side::Right, start: Some((start, Side::Left)) };
    assert_eq!(check(Some(patch), anchor(2)), Ok(()));
    assert_eq!(check(Some(patch), anchor(3)), Err(anchor::START_NOT_IN_DIFF));
    assert_eq!(check(None, anchor(2)), Err(anchor::NOT_IN_DIFF));
}
