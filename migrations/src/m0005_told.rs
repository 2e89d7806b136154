//! Every process learns at once when installations change.
//!
//! Only PostgreSQL has several processes. What deliveries change all the time (when the last one came) is not told.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

/// Changes of installations are counted and announced.
pub struct Told;

impl MigrationName for Told {
    fn name(&self) -> &'static str {
        "m0005_told"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Told {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        if db.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        for sql in [
            "CREATE TABLE installation_changes (version bigint NOT NULL)",
            "INSERT INTO installation_changes (version) VALUES (0)",
            // In the transaction of the change: whoever sees the one sees the other.
            "CREATE FUNCTION installations_changed() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 UPDATE installation_changes SET version = version + 1;
                 PERFORM pg_notify('nectr_installations', '');
                 RETURN NULL;
             END $$",
            "CREATE TRIGGER installations_changed
             AFTER INSERT OR DELETE OR UPDATE OF user_id, repo_id, repo, repo_key, state, secret, next_secret, hook_id, hook_url, verified_at
             ON installations FOR EACH ROW EXECUTE FUNCTION installations_changed()",
        ] {
            db.execute_unprepared(sql).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
