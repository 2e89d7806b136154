//! The graph is away: everything else goes on, and once it is back nothing is missing.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use nectr::{domain::RepoId, sandbox::http::Request};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{LIB, MANIFEST, RESCAN, World, furnish, paths, shop, state};
use crate::{
    access::expect_problem,
    support::{
        SHOP, T,
        database::noon,
        graph::{Dump, dump, fresh_repo},
        minutes,
    },
};

/// An address nobody listens on.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Everything that is learned while a repository is connected and worked on. `t` may be without its graph.
async fn live(t: &T) {
    furnish(t);
    let bug = t.github.open_issue(SHOP, "ada", "It is slow");
    let old = t.open_pull(|pr| pr.modifies("src/lib.rs", LIB, "// faster\n"));
    t.github.merge(old);
    t.github.drop_deliveries();
    t.connected().await;
    t.settle().await;
    let one =
        t.open_pull(|pr| pr.body(&format!("Fixes #{bug}")).modifies("web/cart.js", "export const cart = [];\n", "1\n"));
    let two = t.open_pull(|pr| pr.adds("src/new.rs", "// new\n").modifies("Cargo.toml", MANIFEST, "[package]\n"));
    t.settle().await;
    t.take_review(one);
    t.take_review(two);
    t.pass(minutes(1));
    t.github.push(one, |files| files.adds("web/tax.js", "2\n"));
    t.github.edit_issue(SHOP, bug, "It is very slow");
    t.settle().await;
    t.take_review(one);
    t.pass(minutes(1));
    t.github.merge(two);
    t.github.close(one);
    t.github.close_issue(SHOP, bug);
    t.settle().await;
}

/// What the graph says in the end. How often and when it was scanned, and what two worlds call things, is another matter.
async fn said(t: &T) -> Dump {
    let graph = t.app.graph.as_ref().unwrap().ready().await.unwrap();
    // Connections that broke are found out one by one.
    let mut tries = 0;
    while let Err(error) = graph.ping().await {
        tries += 1;
        assert!(tries < 50, "{error}");
    }
    let mut dump = dump(graph, shop(t), &["web/tax.js"]).await;
    if let Some(scan) = &mut dump.scan {
        scan.scanned_at = noon();
        scan.generation = 0;
        scan.tree.clear();
    }
    for issue in dump.answers.iter_mut().flat_map(|(_, answer)| &mut answer.issues) {
        issue.issue.repo = RepoId(0);
    }
    dump
}

#[tokio::test]
async fn with_neo4j_away_everything_else_works_and_later_nothing_is_missing() {
    let world = World::new().await;
    let uri = format!("bolt://{}", nobody().await);
    let t = world.start(&[("NEO4J_URI", &uri)]).await;
    live(&t).await;
    let octavia = t.sign_in("octavia").await;
    expect_problem(&octavia.post(RESCAN).await, 503, "Neo4j is unreachable");
    expect_problem(&octavia.get("/api/v1/repos/acme/shop/files").await, 503, "Neo4j is unreachable");
    expect_problem(&octavia.get("/api/v1/repos/acme/shop/graph").await, 503, "Neo4j is unreachable");
    assert_eq!(octavia.get("/api/v1/repos/acme/shop/profile").await.status, 200);
    assert_eq!(state(&octavia, "graph").await["status"], "failed");
    let health = Request::get(format!("{}/health", t.url)).send().await.unwrap();
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("ok")));
    assert_eq!(health.json()["graph"], json!({"backend": "neo4j", "status": "unreachable"}));
    assert!(health.json()["queue"]["queued"].as_i64().unwrap() > 3, "what was learned waits");
    t.shut_down().await;

    // The same facts, in a graph that answers.
    let t = world.start(&[]).await;
    t.pass(minutes(5)).settle().await;
    let late = said(&t).await;
    t.shut_down().await;

    let other = World::new().await;
    let t = other.start(&[]).await;
    live(&t).await;
    assert_eq!(said(&t).await, late);
    t.shut_down().await;
    world.database.remove().await;
    other.database.remove().await;
}

/// Stands before a real server: lets through, refuses, or takes and says nothing.
struct Proxy {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Open,
    Refusing,
    Hanging,
}

impl Proxy {
    async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mood, moods) = watch::channel(Mood::Open);
        let proxy = Self { address: listener.local_addr().unwrap(), mood };
        let server = Arc::new(server);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), moods.clone()));
            }
        });
        proxy
    }

    fn is(&self, mood: Mood) {
        self.mood.send(mood).unwrap();
    }
}

/// One connection, for as long as the mood lasts that it began in.
async fn pass(mut client: TcpStream, server: Arc<String>, mut moods: watch::Receiver<Mood>) {
    let mood = *moods.borrow_and_update();
    match mood {
        Mood::Refusing => return,
        Mood::Hanging => {}
        Mood::Open => {
            let mut upstream = TcpStream::connect(server.as_str()).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => return,
                _ = moods.changed() => {}
            }
        }
    }
    if *moods.borrow() == Mood::Hanging {
        let _ = moods.wait_for(|mood| *mood != Mood::Hanging).await;
    }
}

#[tokio::test]
async fn through_an_outage_of_a_real_neo4j_nothing_is_lost() {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(uri) = set("TEST_NEO4J_URI") else {
        eprintln!("TEST_NEO4J_URI is not set: outages of a real Neo4j are not tested");
        return;
    };
    let (scheme, server) = uri.split_once("://").unwrap();
    let proxy = Proxy::before(server.trim_end_matches('/').to_owned()).await;
    let address = format!("{scheme}://{}", proxy.address);
    let (user, password) = (set("TEST_NEO4J_USER"), set("TEST_NEO4J_PASSWORD"));
    let settings = [
        ("NEO4J_URI", address.as_str()),
        ("NEO4J_USERNAME", user.as_deref().unwrap_or("")),
        ("NEO4J_PASSWORD", password.as_deref().unwrap_or("")),
    ];
    let mut told: Vec<Dump> = Vec::new();
    for mood in [Mood::Open, Mood::Refusing, Mood::Hanging] {
        let world = World::unlike(fresh_repo().0).await;
        let t = world.start(&settings).await;
        proxy.is(mood);
        tokio::time::timeout(Duration::from_secs(300), live(&t)).await.expect("nothing waits for long");
        proxy.is(Mood::Open);
        t.pass(minutes(5)).settle().await;
        t.pass(minutes(5)).settle().await;
        told.push(said(&t).await);
        let octavia = t.sign_in("octavia").await;
        assert_eq!(paths(&octavia).await.len(), 5, "{mood:?}");
        t.shut_down().await;
        world.database.remove().await;
    }
    assert_eq!(told[0], told[1], "a graph that refuses");
    assert_eq!(told[0], told[2], "a graph that says nothing");
}
