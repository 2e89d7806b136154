//! A group of deliveries into PostgreSQL: one statement for groups of any size, which is one round trip.

use std::{collections::HashMap, sync::LazyLock};

use sqlx::{Executor, PgConnection, PgPool, Row as _, postgres::PgConnectOptions};

use super::{COLUMNS, Inserted, Prepared, failed};
use crate::{
    domain::DeliveryId,
    store::{Store, StoreError},
};

/// The connection, and where it comes from: what it brings is read by whoever inserts, not by a thread that has other things
/// to do as well.
#[derive(Default)]
pub(super) struct Line {
    pool: Option<PgPool>,
    open: Option<PgConnection>,
}

impl Store {
    /// What became of each.
    pub(super) async fn insert_postgres(&self, rows: &[&Prepared]) -> Result<Vec<Inserted>, StoreError> {
        let pool = self.inner.write.get_postgres_connection_pool();
        let mut line = self.inner.lines.postgres.lock().await;
        let was_open = line.open.is_some();
        let inserted = match line.insert(pool, rows, self.now()).await {
            // It may have been cut while nothing came. What was inserted all the same is known now.
            Err(_) if was_open => line.insert(pool, rows, self.now()).await,
            inserted => inserted,
        };
        inserted.map_err(failed)
    }
}

impl Line {
    /// The connection is kept only when all went well: one that was given up half-way is nobody's.
    async fn insert(&mut self, pool: &PgPool, rows: &[&Prepared], now: i64) -> Result<Vec<Inserted>, sqlx::Error> {
        let mut connection = match self.open.take() {
            Some(open) => open,
            None => open(self.pool.get_or_insert_with(|| like(pool))).await?,
        };
        let inserted = sqlx::query(INSERT.as_str())
            .bind(all(rows, |row| row.installation))
            .bind(all(rows, |row| row.guid.as_str()))
            .bind(all(rows, |row| row.event.as_str()))
            .bind(all(rows, |row| row.action.as_deref()))
            .bind(all(rows, |row| row.repo_id))
            .bind(all(rows, |row| row.repo.as_deref()))
            .bind(all(rows, |row| row.number))
            .bind(all(rows, |row| row.head.as_deref()))
            .bind(all(rows, |row| row.event_at))
            .bind(all(rows, |row| row.reviews))
            .bind(all(rows, |row| row.status))
            .bind(all(rows, |row| row.due_by(now)))
            .bind(all(rows, |row| row.received_at))
            .bind(all(rows, |row| row.finished_at))
            .bind(all(rows, |row| row.outcome))
            .bind(all(rows, |row| row.headers.as_str()))
            .bind(all(rows, |row| row.payload()))
            .fetch_all(&mut connection)
            .await?;
        let mut ids = HashMap::with_capacity(inserted.len());
        for row in &inserted {
            let key: (i64, &str) = (row.try_get(1)?, row.try_get(2)?);
            ids.insert(key, row.try_get::<i64, _>(0)?);
        }
        self.open = Some(connection);
        // Taken out, because of a delivery that stands in the group twice only one is new.
        Ok(rows
            .iter()
            .map(|row| match ids.remove(&(row.installation, row.guid.as_str())) {
                Some(id) => Inserted::New(DeliveryId(id)),
                None => Inserted::Known(None),
            })
            .collect())
    }
}

/// Opens connections to the same database, one at a time, where it is used.
fn like(pool: &PgPool) -> PgPool {
    let options = pool.options().clone().min_connections(0).max_connections(1);
    options.connect_lazy_with(PgConnectOptions::clone(&pool.connect_options()))
}

/// A new connection; a server that is just starting is waited for. It never goes back: one that was given up may never
/// answer again.
async fn open(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
    let mut connection = pool.acquire().await?.detach();
    // Nobody waits any more for what takes longer, and the server would go on trying.
    connection.execute("SET statement_timeout = '5s'").await?;
    Ok(connection)
}

fn all<'a, T>(rows: &[&'a Prepared], field: impl Fn(&'a Prepared) -> T) -> Vec<T> {
    rows.iter().map(|row| field(row)).collect()
}

/// The statement that inserts any number of deliveries, a list a column, unless they are known.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let columns = COLUMNS.join(", ");
    let lists: Vec<_> = TYPES.iter().enumerate().map(|(at, list)| format!("${}::{list}[]", at + 1)).collect();
    format!(
        "INSERT INTO deliveries ({columns}, attempts, fence) SELECT {columns}, 0, 0 FROM UNNEST({}) AS new ({columns}) \
         ON CONFLICT (installation_id, guid) DO NOTHING RETURNING id, installation_id, guid",
        lists.join(", ")
    )
});

/// The types of [`COLUMNS`].
const TYPES: [&str; COLUMNS.len()] = [
    "bigint", "text", "text", "text", "bigint", "text", "bigint", "text", "bigint", "boolean", "text", "bigint",
    "bigint", "bigint", "text", "text", "bytea",
];
