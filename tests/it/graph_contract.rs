//! What every code graph does, whatever it is kept in: the same stories, told to the database and to Neo4j, with the
//! same answers expected.

mod answers;
mod builds;
mod co_changes;
mod facts;
mod maps;
mod odd;
