//! What nectr learns of a repository: its files, its history, its profile, and what happens to it from then on.

mod again;
mod builds;
mod facts;
mod missed;
mod outage;
mod routes;

use std::time::Duration;

use nectr::{
    domain::{
        Clock, PrNumber, RepoId,
        graph::{Answer, Question},
    },
    sandbox::{Files, Sandbox, http::Response},
};
use serde_json::{Value, json};
use tokio::time::interval;

use crate::support::{
    Person, SHOP, T,
    database::{Database, noon},
    populate,
};

const RESCAN: &str = "/api/v1/repos/acme/shop/rescan";
const SHOWN: &str = "/api/v1/repos/acme/shop";
const PROFILE: &str = "/api/v1/repos/acme/shop/profile";

const LIB: &str = "pub fn price() -> u32 {\n    3\n}\n";
const MANIFEST: &str = "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";

/// A GitHub and a database that several nectrs are told a story with, one after the other.
struct World {
    github: Sandbox,
    clock: Clock,
    database: Database,
}

impl World {
    async fn new() -> Self {
        Self::unlike(1_000).await
    }

    /// With ids from here on: one Neo4j serves all worlds.
    async fn unlike(first_id: i64) -> Self {
        let clock = Clock::manual(noon());
        let github = Sandbox::start_on(0, clock.clone()).await.unwrap();
        github.ids_from(first_id);
        populate(&github);
        Self { github, clock, database: Database::fresh().await }
    }

    async fn start(&self, settings: &[(&str, &str)]) -> T {
        T::start(&self.github, &self.clock, &self.database.url, settings).await
    }
}

/// A shop with some files, of which `octavia` has connected it and nectr has learned everything.
async fn learned(t: &T) -> Person {
    furnish(t);
    let octavia = t.connected().await;
    t.settle().await;
    octavia
}

/// Puts some files into the shop.
fn furnish(t: &T) {
    t.github
        .repo(SHOP)
        .file("Cargo.toml", MANIFEST)
        .file("README.md", "# Shop\n")
        .file("src/lib.rs", LIB)
        .file("web/cart.js", "export const cart = [];\n")
        .file("web/node_modules/left-pad/index.js", "module.exports = 1;\n");
}

/// Asks for a rescan and runs the workers until it is answered.
async fn rescan(t: &T, person: &Person) -> Response {
    let person = person.clone();
    until_answered(t, async move { person.post(RESCAN).await }).await
}

/// Runs the workers until this is done.
async fn until_answered<R: Send + 'static>(t: &T, asked: impl Future<Output = R> + Send + 'static) -> R {
    let asked = tokio::spawn(asked);
    let mut beat = interval(Duration::from_millis(5));
    while !asked.is_finished() {
        beat.tick().await;
        t.work().await;
    }
    asked.await.unwrap()
}

fn scanned(files: i64) -> Value {
    json!({"status": "scan_complete", "repo": SHOP, "files_indexed": files})
}

/// Paths and pull requests of the files the graph holds.
async fn files(person: &Person) -> Vec<(String, i64)> {
    let list = person.see("/api/v1/repos/acme/shop/files").await;
    let files = list["files"].as_array().unwrap();
    assert_eq!(list["count"], files.len());
    files.iter().map(|file| (file["path"].as_str().unwrap().to_owned(), file["pr_count"].as_i64().unwrap())).collect()
}

/// Paths of the files the graph holds.
async fn paths(person: &Person) -> Vec<String> {
    files(person).await.into_iter().map(|(path, _)| path).collect()
}

fn shop(t: &T) -> RepoId {
    RepoId(t.github.repo_id(SHOP))
}

/// What the graph would tell a stranger's pull request over these files that closes these issues.
pub async fn ask(t: &T, files: &[&str], closes: &[i64]) -> Answer {
    let question = Question {
        repo: shop(t),
        number: PrNumber(1_000_000),
        author: "nobody".to_owned(),
        files: files.iter().map(|path| (*path).to_owned()).collect(),
        closes: closes.to_vec(),
        now: t.clock.now(),
    };
    t.app.graph.as_ref().unwrap().ready().await.unwrap().ask(&question).await.unwrap()
}

/// Number and state of the pull requests that touch a file.
async fn touching(t: &T, file: &str) -> Vec<(i64, &'static str)> {
    let mut pulls: Vec<_> =
        ask(t, &[file], &[]).await.related.iter().map(|pull| (pull.number.0, pull.state.as_str())).collect();
    pulls.sort_unstable();
    pulls
}

/// Somebody pushes to the default branch; nectr is not told.
fn push(t: &T, describe: impl FnOnce(Files) -> Files) {
    t.github.push_to_default(SHOP, "sam", describe);
    t.github.drop_deliveries();
}

/// How a kind of work on the shop stands.
async fn state(person: &Person, what: &str) -> Value {
    person.see(SHOWN).await[what].clone()
}
