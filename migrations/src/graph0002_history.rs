//! Until when the history of each repository is known: in the graph itself, so that it goes when the graph goes.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbErr},
};

/// `graph_histories`.
pub struct History;

impl MigrationName for History {
    fn name(&self) -> &'static str {
        "graph0002_history"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for History {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = "CREATE TABLE graph_histories (repo_id bigint NOT NULL PRIMARY KEY, learned_until bigint NOT NULL)";
        manager.get_connection().execute_unprepared(table).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
