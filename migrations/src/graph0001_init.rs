//! The code graph: files, pull requests, what touches what.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

/// The first schema of the graph.
pub struct Graph;

impl MigrationName for Graph {
    fn name(&self) -> &'static str {
        "graph0001_init"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Graph {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let backend = db.get_database_backend();
        for statement in TABLES.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            db.execute_unprepared(&in_dialect(statement, backend)).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// `{key}`: on SQLite the row's own number. `{name}`: text that sorts by its bytes, as SQLite's always does.
fn in_dialect(statement: &str, backend: DbBackend) -> String {
    let (key, name, bytes) = match backend {
        DbBackend::Sqlite => ("integer PRIMARY KEY", "text", "blob"),
        _ => ("bigint PRIMARY KEY", "text COLLATE \"C\"", "bytea"),
    };
    statement.replace("{key}", key).replace("{name}", name).replace("{bytes}", bytes)
}

// A path can be longer than PostgreSQL allows in an index, so files are found by an id that is made from repository
// and path.
const TABLES: &str = "
CREATE TABLE graph_repositories (
    repo_id {key},
    full_name text NOT NULL,
    default_branch text NOT NULL,
    generation bigint,
    scanned_branch text,
    tree text,
    files bigint,
    manifest {bytes},
    scanned_at bigint
);
CREATE TABLE graph_files (
    id {key},
    repo_id bigint NOT NULL,
    path {name} NOT NULL,
    language text,
    size bigint NOT NULL,
    generation bigint
);
CREATE INDEX graph_files_by_repo ON graph_files (repo_id, generation);
CREATE TABLE graph_pulls (
    repo_id bigint NOT NULL,
    number bigint NOT NULL,
    title text NOT NULL,
    author {name} NOT NULL,
    bot boolean NOT NULL,
    state text NOT NULL,
    head_sha text NOT NULL,
    updated_at bigint NOT NULL,
    merged_at bigint,
    files bigint,
    files_at bigint,
    closes_at bigint,
    verdict text,
    reviewed_at bigint,
    PRIMARY KEY (repo_id, number)
);
CREATE INDEX graph_pulls_by_state ON graph_pulls (repo_id, state, bot, files, number);
CREATE TABLE graph_touches (
    file_id bigint NOT NULL,
    number bigint NOT NULL,
    repo_id bigint NOT NULL,
    hunks text NOT NULL,
    PRIMARY KEY (file_id, number)
);
CREATE INDEX graph_touches_by_pull ON graph_touches (repo_id, number, file_id);
CREATE TABLE graph_issues (
    repo_id bigint NOT NULL,
    number bigint NOT NULL,
    title text NOT NULL,
    open boolean NOT NULL,
    labels text NOT NULL,
    updated_at bigint NOT NULL,
    gone boolean NOT NULL,
    PRIMARY KEY (repo_id, number)
);
CREATE TABLE graph_closes (
    repo_id bigint NOT NULL,
    number bigint NOT NULL,
    issue_repo_id bigint NOT NULL,
    issue_number bigint NOT NULL,
    PRIMARY KEY (repo_id, number, issue_repo_id, issue_number)
);
CREATE TABLE graph_contributors (
    repo_id bigint NOT NULL,
    login {name} NOT NULL,
    contributions bigint NOT NULL,
    PRIMARY KEY (repo_id, login)
)
";
