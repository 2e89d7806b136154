//! What a newcomer runs first.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

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

#[tokio::test]
async fn a_demo_that_is_told_to_end_leaves_nothing_behind_wherever_it_is() {
    for (signal, at) in [("-INT", "nectr demo"), ("-TERM", "4. nectr reads"), ("-TERM", "Now look around")] {
        let folder = tempfile::tempdir().unwrap();
        let mut demo = Command::new(env!("CARGO_BIN_EXE_nectr"))
            .arg("demo")
            .env_clear()
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
        while !lines.next_line().await.unwrap().expect("it goes on").starts_with(at) {}
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{at}: it keeps its database here");
        let pid = demo.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
        // Whatever else it says must not hold it up.
        while lines.next_line().await.unwrap().is_some() {}
        let ended = demo.wait().await.unwrap();
        assert!(ended.code().is_some(), "{at}: it ends by itself, not by the signal: {ended}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert!(left.is_empty(), "{at}: the demo left something behind: {left:?}");
    }
}
