//! The graph's own file, and the small rules its statements rest on.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::{Clock, graph::file_id};

fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("nectr.db").display());
    (folder, url)
}

#[test]
fn the_graph_is_called_after_the_database() {
    assert_eq!(beside(Path::new("/var/lib/nectr/nectr.db")), Path::new("/var/lib/nectr/nectr-graph.db"));
    assert_eq!(beside(Path::new("my.own.sqlite3")), Path::new("my.own-graph.sqlite3"));
    assert_eq!(beside(Path::new("data/nectr")), Path::new("data/nectr-graph"));
}

#[tokio::test]
async fn the_graph_is_a_file_of_its_own_and_made_when_it_is_wanted() {
    let (folder, url) = folder();
    let store = Store::open(&url, Clock::system()).await.unwrap();
    store.migrate().await.unwrap();
    let file = folder.path().join("nectr-graph.db");
    assert!(!file.exists());
    let graph = store.graph().await.unwrap();
    graph.migrate().await.unwrap();
    graph.migrate().await.unwrap();
    assert!(file.exists());
    let tables = store.sql("SELECT name FROM sqlite_master WHERE name LIKE 'graph%'", []);
    assert!(store.read().query_all_raw(tables).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_only_looks_disturbs_nobody_who_writes() {
    let (_folder, url) = folder();
    let serving = Store::open(&url, Clock::system()).await.unwrap();
    let graph = serving.graph().await.unwrap();
    graph.migrate().await.unwrap();
    let writing = graph.begin(RepoId(1)).await.unwrap();
    graph.write(&writing, "INSERT INTO graph_contributors VALUES ($1, 'ada', 1)", [1_i64.into()]).await.unwrap();
    let looking = Store::open_beside(&url, Clock::system()).await.unwrap().graph().await.unwrap();
    looking.migrate().await.unwrap();
    looking.ping().await.unwrap();
    assert_eq!(looking.scan(RepoId(1)).await.unwrap(), None);
    writing.commit().await.unwrap();
}

#[tokio::test]
async fn a_write_that_is_given_up_leaves_nothing_and_lets_the_next_one_in() {
    let (_folder, url) = folder();
    let graph = Store::open(&url, Clock::system()).await.unwrap().graph().await.unwrap();
    graph.migrate().await.unwrap();
    let given_up = graph.begin(RepoId(1)).await.unwrap();
    graph.write(&given_up, "INSERT INTO graph_contributors VALUES ($1, 'ada', 1)", [1_i64.into()]).await.unwrap();
    drop(given_up);
    let next = graph.begin(RepoId(1)).await.unwrap();
    let people = graph.store.sql("SELECT login FROM graph_contributors", []);
    assert!(next.query_all_raw(people).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_an_outage_and_a_statement_that_makes_no_sense_is_none() {
    let (folder, url) = folder();
    let store = Store::open(&url, Clock::system()).await.unwrap();
    let file = folder.path().join("nectr-graph.db");
    std::fs::create_dir(&file).unwrap();
    let error = store.graph().await.err().unwrap();
    assert!(error.is_outage(), "{error}");
    std::fs::remove_dir(&file).unwrap();
    let graph = store.graph().await.unwrap();
    let error = graph.scan(RepoId(1)).await.unwrap_err();
    assert!(!error.is_outage(), "no table is no outage: {error}");
    graph.migrate().await.unwrap();
    assert_eq!(graph.scan(RepoId(1)).await.unwrap(), None);
}

#[test]
fn what_may_pass_is_told_from_what_stays_wrong() {
    for code in ["08006", "53300", "57P01", "57P03", "58030", "5", "6", "10", "13", "14", "261", "778", "3850"] {
        assert!(is_outage(code), "{code}");
    }
    for code in ["23505", "42P01", "22021", "40P01", "1", "19", "2067", "11", "", "abc"] {
        assert!(!is_outage(code), "{code}");
    }
}

#[test]
fn a_file_is_known_by_its_repository_and_its_path() {
    let id = file_id(RepoId(1), "a.rs");
    assert_eq!(id, file_id(RepoId(1), "a.rs"));
    assert_eq!(id, 7_210_668_126_352_404_651, "ids are on disk: how they are made never changes");
    assert_ne!(id, file_id(RepoId(2), "a.rs"));
    assert_ne!(id, file_id(RepoId(1), "A.rs"));
}

#[test]
fn rounds_keep_the_order_of_what_is_said_twice() {
    let said = [("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2)];
    let rounds: Vec<Vec<_>> =
        rounds(&said, |(who, _)| *who).into_iter().map(|r| r.into_iter().copied().collect()).collect();
    assert_eq!(rounds, [vec![("a", 1), ("b", 1)], vec![("a", 2), ("b", 2)], vec![("a", 3)]]);
}
