//! What an account needs over its life: webhook secrets that change, and an end that leaves nothing behind.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbErr},
};

use crate::m0001_init::in_dialect;

/// Rotation and erasure.
pub struct Account;

impl MigrationName for Account {
    fn name(&self) -> &'static str {
        "m0004_account"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Account {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let backend = db.get_database_backend();
        for statement in STATEMENTS {
            db.execute_unprepared(&in_dialect(statement, backend)).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const STATEMENTS: [&str; 9] = [
    // The secret GitHub is being told, until it is known to have it.
    "ALTER TABLE installations ADD COLUMN next_secret {bytes}",
    "ALTER TABLE installations ADD COLUMN rotation text",
    "ALTER TABLE installations ADD COLUMN rotating_since bigint",
    // Those before: what was signed with one may still be on its way.
    "CREATE TABLE former_secrets (
        id {id},
        installation_id bigint NOT NULL,
        secret {bytes} NOT NULL,
        until bigint NOT NULL
    )",
    // Installations of which everything goes. A row stays until it has.
    "CREATE TABLE erasures (
        installation_id bigint PRIMARY KEY,
        user_id bigint NOT NULL,
        repo_id bigint NOT NULL,
        hook_id bigint,
        since bigint NOT NULL
    )",
    "CREATE INDEX erasures_by_repo ON erasures (repo_id)",
    // People who are going.
    "ALTER TABLE users ADD COLUMN leaving_at bigint",
    "CREATE INDEX users_leaving ON users (leaving_at) WHERE leaving_at IS NOT NULL",
    "CREATE INDEX tasks_by_installation ON tasks (installation_id)",
];
