//! The obvious way to build the graph in Neo4j, to compare with: small batches that look for the repository again in each
//! row, and a clean-up that is told every name that stays.

use std::time::{Duration, Instant};

use nectr::{domain::graph::TreeFile, graph::neo4j::Neo4jOptions, graph::tree};
use neo4rs::{BoltList, BoltMap, BoltType, ConfigBuilder, Graph, query};
use secrecy::ExposeSecret;

pub async fn build(options: &Neo4jOptions, files: &[TreeFile]) -> anyhow::Result<Duration> {
    let password = options.password.as_ref().map(|password| password.expose_secret().to_owned()).unwrap_or_default();
    let config = ConfigBuilder::default().uri(&options.uri).user(&options.username).password(password).build()?;
    let graph = Graph::connect(config)?;
    let repo = chrono::Utc::now().timestamp_micros();
    let started = Instant::now();
    for batch in files.chunks(200) {
        let rows: Vec<BoltType> = batch
            .iter()
            .map(|file| {
                let fact = tree::fact(file);
                let mut row = BoltMap::new();
                row.put("path".into(), fact.path.into());
                row.put("language".into(), fact.language.unwrap_or_default().into());
                row.put("size".into(), fact.size.into());
                BoltType::Map(row)
            })
            .collect();
        let text = "UNWIND $rows AS row MERGE (r:Repository {repo_id: $repo}) \
                    MERGE (f:File {repo_id: $repo, path: row.path}) \
                    SET f.language = row.language, f.size = row.size MERGE (r)-[:CONTAINS]->(f)";
        let rows = BoltType::List(BoltList::from(rows));
        graph.run(query(text).param("rows", rows).param("repo", repo)).await?;
    }
    let names: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    let text = "MATCH (:Repository {repo_id: $repo})-[:CONTAINS]->(f:File) WHERE NOT f.path IN $names DETACH DELETE f";
    graph.run(query(text).param("repo", repo).param("names", names)).await?;
    Ok(started.elapsed())
}
