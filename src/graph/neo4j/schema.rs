//! What makes a node unique, and the indexes that come with it. Everything here exists in Neo4j Community.

use std::time::Duration;

use neo4rs::query;

use super::{GraphError, server::Server};

/// How long the schema may take: an index over a graph that is already full has to be built.
const LIMIT: Duration = Duration::from_secs(30);

const SCHEMA: [&str; 10] = [
    "CREATE CONSTRAINT repository_id IF NOT EXISTS FOR (r:Repository) REQUIRE r.repo_id IS UNIQUE",
    "CREATE CONSTRAINT file_path IF NOT EXISTS FOR (f:File) REQUIRE (f.repo_id, f.path) IS UNIQUE",
    "CREATE CONSTRAINT pull_request_number IF NOT EXISTS FOR (p:PullRequest) REQUIRE (p.repo_id, p.number) IS UNIQUE",
    "CREATE CONSTRAINT developer_login IF NOT EXISTS FOR (d:Developer) REQUIRE d.login IS UNIQUE",
    "CREATE CONSTRAINT issue_number IF NOT EXISTS FOR (i:Issue) REQUIRE (i.repo_id, i.number) IS UNIQUE",
    "CREATE CONSTRAINT scan_repository IF NOT EXISTS FOR (s:Scan) REQUIRE s.repo_id IS UNIQUE",
    "CREATE CONSTRAINT forgotten_number IF NOT EXISTS FOR (x:Forgotten) REQUIRE (x.repo_id, x.number) IS UNIQUE",
    "CREATE INDEX absent_repository IF NOT EXISTS FOR (f:Absent) ON (f.repo_id)",
    "CREATE INDEX pull_request_telling IF NOT EXISTS FOR (p:PullRequest) ON (p.repo_id, p.state, p.bot, p.files, p.number)",
    "CREATE INDEX touches_latest IF NOT EXISTS FOR ()-[t:TOUCHES]-() ON (t.file, t.number)",
];

/// Makes what is missing.
pub(super) async fn prepare(server: &Server) -> Result<(), GraphError> {
    server
        .persist_within(LIMIT, || async {
            for statement in SCHEMA {
                // Neo4j wants a transaction of its own for each.
                let mut transaction = server.begin(LIMIT).await?;
                transaction.run(query(statement)).await?;
                transaction.commit().await?;
            }
            Ok(())
        })
        .await
}
