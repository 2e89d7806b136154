//! How far each connection has caught up with what GitHub sent, and what it missed.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbErr},
};

/// Catching up.
pub struct CatchUp;

impl MigrationName for CatchUp {
    fn name(&self) -> &'static str {
        "m0003_catch_up"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CatchUp {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for column in COLUMNS {
            db.execute_unprepared(&format!("ALTER TABLE installations ADD COLUMN {column}")).await?;
        }
        db.execute_unprepared(MISSED).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// SQLite adds one column at a time.
const COLUMNS: [&str; 9] = [
    "hook_state text",
    "hook_hint text",
    "record_until bigint",
    "looked_until bigint",
    "caught_up_at bigint",
    "catch_up_due bigint",
    "redelivered bigint",
    "looked_at bigint",
    "catch_up_error text",
];

const MISSED: &str = "CREATE TABLE missed (
    installation_id bigint NOT NULL,
    guid text NOT NULL,
    github_id bigint NOT NULL,
    delivered_at bigint NOT NULL,
    asked bigint NOT NULL,
    asked_at bigint,
    PRIMARY KEY (installation_id, guid)
)";
