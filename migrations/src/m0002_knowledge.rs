//! What a project scan learned.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbErr},
};

/// Profiles.
pub struct Knowledge;

impl MigrationName for Knowledge {
    fn name(&self) -> &'static str {
        "m0002_knowledge"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Knowledge {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for sql in [
            "CREATE TABLE profiles (repo_id bigint PRIMARY KEY, profile text NOT NULL, scanned_at bigint NOT NULL)",
            // Asked for once more while it runs.
            "ALTER TABLE tasks ADD COLUMN again boolean NOT NULL DEFAULT false",
            "CREATE INDEX tasks_by_key ON tasks (kind, key, id)",
        ] {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
