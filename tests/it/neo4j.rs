//! What only a Neo4j does: it lets people in or not, hangs, goes away and comes back, and answers whoever asks in Cypher.

use std::time::Duration;

use nectr::{
    domain::{
        graph::{Contributor, IssueRef},
        review::Verdict,
    },
    graph::{
        CodeGraph, GraphError,
        neo4j::{Neo4j, Neo4jOptions},
    },
};
use neo4rs::query;
use tokio::time::timeout;

use crate::support::{
    graph::{But, at, first, fresh_repo, issue, named, neo4j, neo4j_options, next, paths, pull},
    neo4j::Server,
};

/// Longer than any deadline: whoever waits for this waits for ever.
const FOR_EVER: Duration = Duration::from_secs(120);

/// What the server itself says.
async fn cypher(text: &str, repo: i64) -> Vec<Vec<String>> {
    let options = neo4j_options().unwrap();
    let password = options.password.map(|password| secrecy::ExposeSecret::expose_secret(&password).to_owned());
    let graph = neo4rs::Graph::new(options.uri, options.username, password.unwrap_or_default()).unwrap();
    let mut rows = graph.execute(query(text).param("repo", repo)).await.unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().await.unwrap() {
        found.push(row.get("row").unwrap());
    }
    found
}

#[tokio::test]
async fn people_find_the_graph_under_the_promised_names() {
    let Some(graph) = neo4j() else { return };
    graph.prepare().await.unwrap();
    let repo = fresh_repo();
    graph.build(&first(repo, &["src/a.rs"])).await.unwrap();
    let mut fact = pull(7).by("ada").titled("Seven").touching(&["src/a.rs"]);
    fact.closes = Some(vec![IssueRef { repo, number: 3 }]);
    fact.verdict = Some((Verdict::Approve, at(5)));
    graph.learn_pulls(repo, &[fact]).await.unwrap();
    graph.learn_issues(&[issue(repo, 3)]).await.unwrap();
    let people = [Contributor { login: "ada".to_owned(), contributions: 12 }];
    graph.learn_contributors(repo, &people).await.unwrap();

    let found = cypher(
        "MATCH (r:Repository {repo_id: $repo})-[:CONTAINS]->(f:File)<-[:TOUCHES]-(p:PullRequest)-[:AUTHORED_BY]->(d:Developer),
               (d)-[c:CONTRIBUTED_TO]->(r), (p)-[:CLOSES]->(i:Issue)
         RETURN [r.full_name, r.default_branch, toString(r.scanned_at), f.path, f.language, toString(f.size),
                 toString(p.number), p.title, p.author, p.state, p.verdict, p.head_sha, toString(p.reviewed_at),
                 d.login, toString(i.number), i.title, i.state, toString(c.contributions),
                 toString(f.repo_id = $repo AND p.repo_id = $repo AND i.repo_id = $repo)] AS row",
        repo.0,
    )
    .await;
    let head = format!("{:040x}", 7);
    let expected = [
        "acme/shop",
        "main",
        "2026-03-01T12:00:00Z",
        "src/a.rs",
        "Rust",
        "10",
        "7",
        "Seven",
        "ada",
        "merged",
        "APPROVE",
        &head,
        "2026-03-01T12:05:00Z",
        "ada",
        "3",
        "Issue 3",
        "open",
        "12",
        "true",
    ];
    assert_eq!(found, [expected]);
}

#[tokio::test]
async fn the_server_itself_keeps_every_node_unique() {
    let Some(graph) = neo4j() else { return };
    graph.prepare().await.unwrap();
    graph.prepare().await.unwrap();
    let unique = cypher(
        "SHOW CONSTRAINTS YIELD type, labelsOrTypes, properties WHERE type = 'UNIQUENESS'
         RETURN labelsOrTypes + properties AS row ORDER BY row",
        0,
    )
    .await;
    for expected in [
        &["Developer", "login"] as &[_],
        &["File", "repo_id", "path"],
        &["Issue", "repo_id", "number"],
        &["PullRequest", "repo_id", "number"],
        &["Repository", "repo_id"],
    ] {
        assert!(unique.iter().any(|found| found == expected), "{expected:?} in {unique:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_called_one_and_never_shown() {
    let Some(options) = neo4j_options() else { return };
    let password = Some("not-the-password".to_owned().into());
    let graph = Neo4j::new(&Neo4jOptions { password, ..options }).unwrap();
    for answer in [graph.prepare().await, graph.ping().await] {
        let Err(GraphError::Misconfigured(reason)) = answer else { panic!("{answer:?}") };
        assert!(reason.contains("NEO4J_PASSWORD"), "{reason}");
        assert!(!reason.contains("not-the-password"), "{reason}");
    }
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_unreachable() {
    let uri = "bolt://127.0.0.1:1".to_owned();
    let options = Neo4jOptions { uri, username: "neo4j".to_owned(), password: None, database: None };
    let graph = Neo4j::new(&options).unwrap();
    for answer in [graph.prepare().await, graph.ping().await] {
        assert!(matches!(answer, Err(GraphError::Unavailable("Neo4j"))), "{answer:?}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_before_anything_is_asked() {
    let uri = "http://127.0.0.1:7474".to_owned();
    let options = Neo4jOptions { uri, username: "neo4j".to_owned(), password: None, database: None };
    assert!(matches!(Neo4j::new(&options), Err(GraphError::Misconfigured(_))));
}

#[tokio::test]
async fn a_first_build_that_is_broken_off_is_nobodys_and_stands_in_nobodys_way() {
    let Some(graph) = neo4j() else { return };
    graph.prepare().await.unwrap();
    let repo = fresh_repo();
    let names: Vec<String> = (0..25_000).map(|n| format!("src/{n}.rs")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let large = first(repo, &names);
    tokio::select! {
        built = graph.build(&large) => panic!("it was not broken off: {built:?}"),
        () = async {
            while cypher("MATCH (f:File {repo_id: $repo}) RETURN [f.path] AS row LIMIT 1", repo.0).await.is_empty() {}
        } => {}
    }
    assert_eq!(graph.scan(repo).await.unwrap(), None);
    graph.build(&first(repo, &["src/1.rs", "other.rs"])).await.unwrap();
    assert_eq!(paths(&graph, repo).await, ["other.rs", "src/1.rs"]);
}

#[tokio::test]
async fn a_server_that_hangs_or_goes_away_is_unreachable_until_it_is_back() {
    let Some(mut server) = Server::start().await else { return };
    let graph = server.graph();
    graph.prepare().await.unwrap();
    let repo = fresh_repo();
    graph.build(&first(repo, &["a.rs"])).await.unwrap();
    let fact = pull(1).touching(&["a.rs"]);

    server.suspend().await;
    expect_unreachable(&graph, async || graph.ping().await).await;
    expect_unreachable(&graph, async || graph.learn_pulls(repo, std::slice::from_ref(&fact)).await).await;
    server.resume().await;
    graph.learn_pulls(repo, std::slice::from_ref(&fact)).await.unwrap();
    assert_eq!(graph.files(repo).await.unwrap()[0].pulls, 1);

    server.kill().await;
    expect_unreachable(&graph, async || graph.name_repository(&named(repo, "acme/store")).await).await;
    expect_unreachable(&graph, async || graph.files(repo).await.map(drop)).await;
    server.restart().await;
    graph.build(&next(repo, 1, &["b.rs"], &[])).await.unwrap();
    assert_eq!(paths(&graph, repo).await, ["a.rs", "b.rs"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_looks_at_files_is_told_soon_that_the_server_hangs() {
    // Connections are made, and nobody ever takes them.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let graph = Neo4j::new(&Neo4jOptions {
        uri: format!("bolt://{}", silent.local_addr().unwrap()),
        username: "neo4j".to_owned(),
        password: None,
        database: None,
    });
    let (graph, began) = (graph.unwrap(), tokio::time::Instant::now());
    expect_unreachable(&graph, async || graph.files(fresh_repo()).await.map(drop)).await;
    expect_unreachable(&graph, async || graph.map(fresh_repo()).await.map(drop)).await;
    assert_eq!(began.elapsed().as_secs(), 2 * 2, "of a clock that goes only while everybody waits");
}

async fn expect_unreachable(graph: &Neo4j, call: impl AsyncFn() -> Result<(), GraphError>) {
    let answer = timeout(FOR_EVER, call()).await.expect("an answer, whatever it is");
    assert!(matches!(answer, Err(GraphError::Unavailable(_))), "{} said {answer:?}", graph.backend());
}
