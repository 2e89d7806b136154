//! What a newcomer runs first.

use tokio::process::Command;

#[tokio::test]
async fn the_demo_posts_every_review_it_promises_and_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_nectr"))
        .args(["demo", "--once"])
        .current_dir(folder.path())
        .env_clear()
        .env("TMPDIR", folder.path())
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    let trouble = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{told}\n{trouble}");
    for expected in
        ["\"status\":\"connected\"", "pull_request.opened -> 202", "3 pull requests, 3 reviews", "duplicate"]
    {
        assert!(told.contains(expected), "{expected:?} is missing in:\n{told}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "the demo left something behind: {left:?}");
}
