//! A Neo4j server of one test's own, to suspend and to kill.

use std::{process::Stdio, time::Duration};

use nectr::graph::{
    CodeGraph,
    neo4j::{Neo4j, Neo4jOptions},
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::interval,
};

/// Runs until it is dropped. Its data lies in a folder that goes with it.
pub struct Server {
    home: TempDir,
    port: u16,
    process: Child,
}

impl Server {
    /// Starts one from the jars in the folder `TEST_NEO4J_LIB`; none without them.
    pub async fn start() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let settings = format!(
            "server.bolt.listen_address=127.0.0.1:{port}\n\
             server.bolt.advertised_address=127.0.0.1:{port}\n\
             server.http.enabled=false\n\
             server.memory.pagecache.size=64m\n\
             db.tx_log.preallocate=false\n\
             dbms.security.auth_enabled=false\n\
             dbms.usage_report.enabled=false\n"
        );
        std::fs::create_dir(home.path().join("conf")).unwrap();
        std::fs::write(home.path().join("conf/neo4j.conf"), settings).unwrap();
        let process = run(&home)?;
        let mut server = Self { home, port, process };
        server.answers().await;
        Some(server)
    }

    pub fn graph(&self) -> Neo4j {
        let uri = format!("bolt://127.0.0.1:{}", self.port);
        Neo4j::new(&Neo4jOptions { uri, username: "neo4j".to_owned(), password: None, database: None }).unwrap()
    }

    /// From now on it accepts connections and answers nothing.
    pub async fn suspend(&self) {
        self.signal("STOP").await;
    }

    pub async fn resume(&self) {
        self.signal("CONT").await;
    }

    /// Ends it at once.
    pub async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Starts it again at the same address, with the same data.
    pub async fn restart(&mut self) {
        self.process = run(&self.home).unwrap();
        self.answers().await;
    }

    /// Waits for as long as it takes to start; it says nothing itself.
    async fn answers(&mut self) {
        let mut beat = interval(Duration::from_millis(50));
        while self.graph().ping().await.is_err() {
            assert_eq!(self.process.try_wait().unwrap(), None, "Neo4j did not start");
            beat.tick().await;
        }
    }

    async fn signal(&self, name: &str) {
        let id = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().await.unwrap().success());
    }
}

fn run(home: &TempDir) -> Option<Child> {
    let Some(lib) = std::env::var("TEST_NEO4J_LIB").ok().filter(|lib| !lib.is_empty()) else {
        eprintln!("TEST_NEO4J_LIB is not set: no Neo4j to suspend and to kill");
        return None;
    };
    Some(
        Command::new("java")
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &format!("{lib}/*")])
            .args(["nio", "io"].map(|package| format!("--add-opens=java.base/java.{package}=ALL-UNNAMED")))
            .args(
                ["sun.nio.ch", "java.util.concurrent"]
                    .map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")),
            )
            .arg("org.neo4j.server.CommunityEntryPoint")
            .arg(format!("--home-dir={}", home.path().display()))
            .arg(format!("--config-dir={}/conf", home.path().display()))
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap(),
    )
}
