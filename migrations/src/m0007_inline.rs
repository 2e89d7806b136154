//! On PostgreSQL a payload lies in its row, up to half a page.
//!
//! From 2 KiB on PostgreSQL would put it into a table beside (TOAST), which is a second row and an entry in a second index for
//! most deliveries, and a look for a free number before that. Rows that exist stay as they are.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

/// Payloads lie in their rows.
pub struct Inline;

impl MigrationName for Inline {
    fn name(&self) -> &'static str {
        "m0007_inline"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Inline {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        if db.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared("ALTER TABLE deliveries SET (toast_tuple_target = 4080)").await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
