//! The schema: brought up to date when a process starts, and told.
//!
//! Replicas take turns; a schema from the future is left alone.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DbBackend, TransactionTrait};

use migrations::{GraphMigrator, Migrator, MigratorTrait, SchemaManager};

use super::{Store, StoreError, graph};

/// Any number nobody else uses on the same PostgreSQL server.
const MIGRATION_LOCK: i64 = 0x6e65_6374_7201;

impl Store {
    /// Brings the schema up to date. Each migration runs in a transaction; on PostgreSQL replicas take turns.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.migrate_with::<Migrator>(MIGRATION_LOCK).await?;
        if self.backend() == DbBackend::Postgres {
            self.migrate_with::<GraphMigrator>(graph::MIGRATION_LOCK).await?;
        }
        Ok(())
    }

    /// A schema that is newer than this version stays as it is: while replicas are replaced one by one the old ones go on,
    /// and may be started again.
    pub(super) async fn migrate_with<M: MigratorTrait>(&self, lock: i64) -> Result<(), StoreError> {
        if self.is_migrated::<M>().await? {
            return Ok(());
        }
        let turn = match self.backend() {
            DbBackend::Postgres => {
                let tx = self.inner.write.begin().await?;
                tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({lock})")).await?;
                Some(tx)
            }
            _ => None,
        };
        // Whoever had the turn before may have done it all, and more.
        if !self.is_migrated::<M>().await? {
            M::up(&self.inner.write, None).await?;
        }
        if let Some(turn) = turn {
            turn.commit().await?;
        }
        Ok(())
    }

    /// Every migration this version knows, oldest first, and whether it has been applied.
    pub async fn migrations(&self) -> Result<Vec<(String, bool)>, StoreError> {
        let mut all = self.state_of::<Migrator>().await?;
        if self.backend() == DbBackend::Postgres {
            all.extend(self.state_of::<GraphMigrator>().await?);
        }
        Ok(all)
    }

    async fn state_of<M: MigratorTrait>(&self) -> Result<Vec<(String, bool)>, StoreError> {
        let table = M::migration_table_name().to_string();
        let mut applied = HashSet::new();
        if SchemaManager::new(&self.inner.read).has_table(&*table).await? {
            let sql = format!("SELECT version FROM {table}");
            for row in self.inner.read.query_all_raw(self.sql(&sql, [])).await? {
                applied.insert(row.try_get::<String>("", "version")?);
            }
        }
        let all = M::migrations();
        Ok(all.iter().map(|migration| (migration.name().to_owned(), applied.contains(migration.name()))).collect())
    }

    async fn is_migrated<M: MigratorTrait>(&self) -> Result<bool, StoreError> {
        Ok(self.state_of::<M>().await?.iter().all(|(_, applied)| *applied))
    }
}
