//! On SQLite, which deliveries are known is looked up in a table that is filled in the order of GUIDs, a stretch at a time.
//!
//! An index that takes each GUID as it comes has another page changed by every delivery. PostgreSQL keeps its index: there
//! several processes write. On SQLite only one does, so that the index it would not use is taken away at once.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

/// GUIDs lie in a table of their own.
pub struct Guids;

impl MigrationName for Guids {
    fn name(&self) -> &'static str {
        "m0006_guids"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Guids {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        if db.get_database_backend() != DbBackend::Sqlite {
            return Ok(());
        }
        for sql in [
            "CREATE TABLE delivery_guids (
                 guid blob NOT NULL,
                 installation_id bigint NOT NULL,
                 id bigint NOT NULL,
                 PRIMARY KEY (guid, installation_id)
             ) WITHOUT ROWID",
            // In the order of its key: each page is filled once.
            "INSERT INTO delivery_guids SELECT unhex(guid, '-'), installation_id, id FROM deliveries ORDER BY 1, 2",
            // Of deliveries up to this one, all are in there.
            "CREATE TABLE delivery_guids_until (id bigint NOT NULL)",
            "INSERT INTO delivery_guids_until SELECT COALESCE(MAX(id), 0) FROM deliveries",
            "CREATE TRIGGER delivery_guids_forgotten AFTER DELETE ON deliveries BEGIN
                 DELETE FROM delivery_guids
                 WHERE guid = unhex(OLD.guid, '-') AND installation_id = OLD.installation_id AND id = OLD.id;
             END",
            // For what is asked of one connection; its entries come in order.
            "CREATE INDEX deliveries_by_installation ON deliveries (installation_id)",
            "DROP INDEX deliveries_once",
        ] {
            db.execute_unprepared(sql).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
