//! The schema, one migration a file, one source for SQLite and PostgreSQL.
//!
//! Each runs in a transaction of its own. Expand first (new column, nullable or with a default), contract a version
//! later, so that the previous version of nectr keeps working beside the new one during a deploy.
//!
//! Times are 64-bit integers: microseconds since 1970 in UTC. They compare and index alike on both databases.

use sea_orm_migration::{MigrationTrait, async_trait};
pub use sea_orm_migration::{MigratorTrait, SchemaManager};

mod m0001_init;

/// All migrations, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_init::Init)]
    }
}
