//! The schema, one migration a file, one source for SQLite and PostgreSQL.
//!
//! Each runs in a transaction of its own. Expand first (new column, nullable or with a default), contract a version
//! later, so that the previous version of nectr keeps working beside the new one during a deploy.
//!
//! Times are 64-bit integers: microseconds since 1970 in UTC. They compare and index alike on both databases.

use sea_orm_migration::{
    MigrationTrait, async_trait,
    sea_orm::{
        DynIden,
        sea_query::{Alias, IntoIden},
    },
};
pub use sea_orm_migration::{MigratorTrait, SchemaManager};

mod graph0001_init;
mod graph0002_history;
mod m0001_init;
mod m0002_knowledge;
mod m0003_catch_up;
mod m0004_account;
mod m0005_told;
mod m0006_guids;
mod m0007_inline;

/// All migrations, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_init::Init),
            Box::new(m0002_knowledge::Knowledge),
            Box::new(m0003_catch_up::CatchUp),
            Box::new(m0004_account::Account),
            Box::new(m0005_told::Told),
            Box::new(m0006_guids::Guids),
            Box::new(m0007_inline::Inline),
        ]
    }
}

/// The migrations of the code graph, which on SQLite is a file of its own.
pub struct GraphMigrator;

#[async_trait::async_trait]
impl MigratorTrait for GraphMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(graph0001_init::Graph), Box::new(graph0002_history::History)]
    }

    fn migration_table_name() -> DynIden {
        Alias::new("graph_migrations").into_iden()
    }
}
