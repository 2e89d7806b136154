//! Which deliveries SQLite knows.
//!
//! GUIDs come in no order. Taken into an index one by one, each would change a page of its own, and that page is written
//! twice, to the log and to the file: more than for all else of a delivery. So the latest are kept in memory, and from there
//! go into the index a stretch at a time, neighbours together, round and round through all there are. What is in memory only
//! is read again from the deliveries themselves when the connection is opened.

use std::{collections::BTreeMap, ops::Bound};

use rusqlite::{Connection, OptionalExtension as _, Statement, params};
use sea_orm::{ColumnTrait, DbBackend, sea_query::Expr};

use super::Prepared;
use crate::store::{Store, deliveries};

/// That many are kept in memory while deliveries keep coming: about 3 MiB. The more, the closer they lie together when they
/// go into the index; but about twice as many deliveries are read when the connection is opened after it was lost.
const KEPT: usize = if cfg!(test) { 64 } else { 32 * 1024 };

/// That many can go into the index at once: in 10 to 20 ms.
pub(super) const STRETCH: usize = if cfg!(test) { 16 } else { 2_048 };

/// GUIDs on a page of the index, about.
const ON_A_PAGE: u64 = 100;

/// The delivery with a GUID (`?1`) of a connection (`?2`), or that of which this is known (`?3`). What was erased meanwhile is
/// not there any more.
pub(super) const KNOWN: &str = "SELECT id FROM deliveries WHERE id = COALESCE(?3, (SELECT id FROM delivery_guids \
                                WHERE guid = ?1 AND installation_id = ?2))";

/// GUID, and whose connection.
pub(super) type Key = (u128, i64);

/// The deliveries of which it is not sure that the index has them, and how far it has come.
pub(super) struct Guids {
    latest: BTreeMap<Key, i64>,
    /// Up to here this round has come.
    at: Bound<Key>,
    /// Of deliveries up to this one, all are in the index or in memory.
    newest: i64,
}

impl Guids {
    pub(super) fn new() -> Self {
        Self { latest: BTreeMap::new(), at: Bound::Unbounded, newest: 0 }
    }

    /// Takes up what came into the table otherwise, or before. Within a transaction, so that nothing more can.
    pub(super) fn catch_up(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut last = connection.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'")?;
        let last = last.query_row([], |row| row.get(0)).optional()?.unwrap_or(0);
        if last > self.newest {
            let mut those = connection.prepare(
                "SELECT guid, installation_id, id FROM deliveries \
                 WHERE id > MAX(?1, (SELECT id FROM delivery_guids_until)) ORDER BY id",
            )?;
            let mut rows = those.query([self.newest])?;
            while let Some(row) = rows.next()? {
                let guid = row.get_ref(0)?.as_str()?;
                self.latest.insert((number(guid), row.get(1)?), row.get(2)?);
            }
            self.newest = last;
        }
        Ok(())
    }

    /// The delivery that is known, if it is; `known` is [`KNOWN`].
    pub(super) fn find(&self, known: &mut Statement<'_>, key: Key) -> rusqlite::Result<Option<i64>> {
        let (guid, installation) = key;
        known.query_row(params![guid.to_be_bytes(), installation, self.latest.get(&key)], |row| row.get(0)).optional()
    }

    /// A delivery that was just inserted.
    pub(super) fn add(&mut self, key: Key, id: i64) {
        self.latest.insert(key, id);
        self.newest = id;
    }

    /// How many more than should be are kept in memory, as far as they can go at once.
    pub(super) fn excess(&self) -> usize {
        self.latest.len().saturating_sub(KEPT).min(STRETCH)
    }

    /// Whether all are in the index.
    pub(super) fn indexed(&self) -> bool {
        self.latest.is_empty()
    }

    /// Takes the next stretch, of at most `count`, into the index; of what was erased meanwhile nothing. Returns how many pages
    /// that changes, about.
    pub(super) fn index(&mut self, connection: &Connection, count: usize) -> rusqlite::Result<u64> {
        if count == 0 {
            return Ok(0);
        }
        let stretch: Vec<_> =
            self.latest.range((self.at, Bound::Unbounded)).take(count).map(|(key, id)| (*key, *id)).collect();
        let mut insert = connection
            .prepare_cached("INSERT OR REPLACE INTO delivery_guids SELECT ?1, ?2, id FROM deliveries WHERE id = ?3")?;
        for ((guid, installation), id) in &stretch {
            insert.execute(params![guid.to_be_bytes(), installation, id])?;
            self.latest.remove(&(*guid, *installation));
        }
        self.at = stretch.last().map_or(Bound::Unbounded, |(last, _)| Bound::Excluded(*last));
        if stretch.len() < count || self.latest.is_empty() {
            // The round has ended, and the next begins.
            let until = self.latest.values().min().map_or(self.newest, |first| first - 1);
            connection.execute("UPDATE delivery_guids_until SET id = ?1 WHERE id < ?1", [until])?;
            self.at = Bound::Unbounded;
        }
        let (keys, all) = (stretch.len() as u64, self.newest.unsigned_abs());
        Ok(keys.min(1 + keys * all / (ON_A_PAGE * KEPT as u64)))
    }
}

impl Store {
    /// That a row of `deliveries` has one of these GUIDs, each a parameter. Where the index may be behind, so many of the latest
    /// deliveries are looked at that it is no place for a question that is asked for each row of something.
    pub(in crate::store) fn one_of(&self, guids: &[String]) -> String {
        let one_of = format!("guid IN ({})", guids.join(", "));
        if self.backend() == DbBackend::Postgres {
            return one_of;
        }
        let bytes: Vec<_> = guids.iter().map(|guid| format!("unhex({guid}, '-')")).collect();
        format!(
            "id IN (SELECT id FROM delivery_guids WHERE guid IN ({}) UNION ALL SELECT id FROM deliveries \
             WHERE id > (SELECT id FROM delivery_guids_until) AND {one_of}) AND {one_of}",
            bytes.join(", ")
        )
    }

    /// That a row of `deliveries` has this GUID.
    pub(in crate::store) fn has_guid(&self, guid: &str) -> Expr {
        if self.backend() == DbBackend::Postgres {
            return deliveries::entity::Column::Guid.eq(guid);
        }
        Expr::cust_with_values(self.one_of(&["?".to_owned()]), [guid; 3])
    }

    /// That a row `m`, which has an `installation_id` and a `guid`, is about a delivery that is there.
    pub(in crate::store) fn arrived(&self) -> &'static str {
        if self.backend() == DbBackend::Postgres {
            return "EXISTS (SELECT 1 FROM deliveries d WHERE d.installation_id = m.installation_id AND d.guid = m.guid)";
        }
        "(EXISTS (SELECT 1 FROM delivery_guids g JOIN deliveries d ON d.id = g.id WHERE g.guid = unhex(m.guid, '-') \
         AND g.installation_id = m.installation_id) OR (m.installation_id, m.guid) IN \
         (SELECT installation_id, guid FROM deliveries WHERE id > (SELECT id FROM delivery_guids_until)))"
    }
}

/// What a delivery is known by.
pub(super) fn key(row: &Prepared) -> Key {
    (number(&row.guid), row.installation)
}

/// The number that a GUID's digits are.
fn number(guid: &str) -> u128 {
    guid.chars().filter_map(|digit| digit.to_digit(16)).fold(0, |number, digit| number << 4 | u128::from(digit))
}
