//! Talking to a Neo4j server: every exchange ends within a deadline, and an exchange that was broken off leaves nothing
//! behind, neither a lock on the server nor a connection nobody may use.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use neo4rs::{BoltType, ConfigBuilder, Neo4jClientErrorKind, Neo4jErrorKind, Query, Txn};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{GraphError, Neo4jOptions};

/// No statement takes longer than this; neo4rs' own limit for each read from the network must not be shorter.
const LONGEST: Duration = Duration::from_secs(60);
/// Rows per fetch: all but the largest answers come at once.
const FETCH: usize = 10_000;
/// How often something is tried that came into conflict with somebody else's transaction.
const TRIES: u32 = 6;
/// How long the second try waits; each further one twice as long.
const PAUSE: Duration = Duration::from_millis(25);

/// Why something did not come about.
#[derive(Debug)]
pub(super) enum Failure {
    /// It collided with another transaction: the same again may well succeed.
    Conflict(String),
    /// Again would be no better.
    Final(GraphError),
}

impl Failure {
    pub(super) const OUTDATED: Self = Self::Final(GraphError::Outdated);
    pub(super) const UNAVAILABLE: Self = Self::Final(GraphError::Unavailable("Neo4j"));
}

impl From<Failure> for GraphError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Conflict(reason) => {
                tracing::warn!(reason, "Neo4j is too busy with something else");
                Self::Unavailable("Neo4j")
            }
            Failure::Final(error) => error,
        }
    }
}

impl From<neo4rs::Error> for Failure {
    fn from(error: neo4rs::Error) -> Self {
        use neo4rs::Error as E;
        let refused = |reason: String| Self::Final(GraphError::Refused(short(&reason)));
        let misconfigured = |reason: String| Self::Final(GraphError::Misconfigured(short(&reason)));
        match &error {
            E::Neo4j(answer) => match (answer.code(), answer.kind()) {
                ("Neo.TransientError.General.DatabaseUnavailable", _) => Self::UNAVAILABLE,
                (code, _) if code.starts_with("Neo.ClientError.Transaction.TransactionTimedOut") => Self::UNAVAILABLE,
                // Somebody deleted or made the very node meanwhile.
                (
                    "Neo.ClientError.Statement.EntityNotFound"
                    | "Neo.ClientError.Schema.ConstraintValidationFailed"
                    // Another replica makes the schema at this moment: next time it is there.
                    | "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists"
                    | "Neo.ClientError.Schema.ConstraintAlreadyExists"
                    | "Neo.ClientError.Schema.IndexAlreadyExists",
                    _,
                )
                | (_, Neo4jErrorKind::Transient) => Self::Conflict(short(&error.to_string())),
                (_, Neo4jErrorKind::Client(Neo4jClientErrorKind::TransactionTerminated)) => Self::UNAVAILABLE,
                (code, _) => Self::Final(refusal(code, answer.message())),
            },
            E::AuthenticationError(reason) if is_about_credentials(reason) => {
                misconfigured(format!("Neo4j does not let us in (NEO4J_USERNAME, NEO4J_PASSWORD): {reason}"))
            }
            E::InvalidConfig
            | E::UrlParseError(_)
            | E::UnsupportedScheme(_)
            | E::InvalidDnsName(_)
            | E::UnsupportedVersion(..)
            | E::ProtocolMismatch(_) => misconfigured(format!("this is no Neo4j to talk to: {error}")),
            E::DeserializationError(_) | E::ConversionError => refused(format!("Neo4j answered strangely: {error}")),
            E::StringTooLong | E::MapTooBig | E::BytesTooBig | E::ListTooLong => refused(error.to_string()),
            _ => {
                tracing::debug!(%error, "Neo4j is unreachable");
                Self::UNAVAILABLE
            }
        }
    }
}

/// What the server's refusal means: there is something wrong with what it was told, or with the server.
fn refusal(code: &str, message: &str) -> GraphError {
    let of_the_server = code.starts_with("Neo.ClientError.Security.")
        || matches!(
            code,
            "Neo.ClientError.Database.DatabaseNotFound"
                | "Neo.ClientError.Database.IllegalAliasChain"
                | "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase"
                | "Neo.ClientError.Cluster.NotALeader"
        );
    let reason = short(&format!("{code}: {message}"));
    if of_the_server { GraphError::Misconfigured(reason) } else { GraphError::Refused(reason) }
}

/// neo4rs calls every refusal of a connection this, also one for want of memory, and keeps only the message.
fn is_about_credentials(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    ["authentic", "credential", "unauthorized"].iter().any(|word| reason.contains(word))
}

/// Neo4j's reasons can quote whole statements.
fn short(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// One Neo4j server. Connects when it must.
pub(super) struct Server {
    config: neo4rs::Config,
    /// Connections for single statements. Replaced as a whole when one of them did not answer: what hung once is not
    /// waited for again.
    pool: Mutex<neo4rs::Graph>,
}

impl Server {
    pub(super) fn new(options: &Neo4jOptions) -> Result<Self, GraphError> {
        let password = options.password.as_ref().map_or("", |password| password.expose_secret());
        let mut config = ConfigBuilder::default()
            .uri(&options.uri)
            .user(&options.username)
            .password(password)
            .fetch_size(FETCH)
            .connection_timeout(LONGEST);
        if let Some(database) = &options.database {
            config = config.db(database.as_str());
        }
        let config = config.build().map_err(Failure::from)?;
        let pool = Mutex::new(connect(&config)?);
        Ok(Self { config, pool })
    }

    /// The rows of one statement that changes nothing. The server gives up on it when we do.
    pub(super) async fn read<T: DeserializeOwned>(&self, limit: Duration, query: Query) -> Result<Vec<T>, GraphError> {
        let query = query.extra("tx_timeout", milliseconds(limit));
        let graph = self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rows = async {
            let mut stream = graph.execute_read(query).await?;
            let mut rows = Vec::new();
            while let Some(row) = stream.next().await? {
                rows.push(row.to().map_err(neo4rs::Error::from)?);
            }
            Ok::<_, Failure>(rows)
        };
        match timeout(limit, rows).await {
            Ok(rows) => Ok(rows?),
            Err(_) => {
                if let Ok(fresh) = connect(&self.config) {
                    *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
                }
                Err(Failure::UNAVAILABLE.into())
            }
        }
    }

    /// Begins a transaction, whose statements have this long each.
    pub(super) async fn begin(&self, limit: Duration) -> Result<Transaction, Failure> {
        let graph = connect(&self.config)?;
        let txn = within(limit, graph.start_txn()).await?;
        Ok(Transaction { txn, limit })
    }

    /// Does something until it comes into conflict with nobody. Attempts are counted from 1.
    pub(super) async fn persist<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        attempt: impl Fn(u32) -> F,
    ) -> Result<T, GraphError> {
        let mut tries = 1;
        loop {
            match attempt(tries).await {
                Err(Failure::Conflict(reason)) if tries < TRIES => {
                    tracing::debug!(reason, tries, "a conflict in Neo4j, trying again");
                    tokio::time::sleep(PAUSE * 2_u32.pow(tries - 1)).await;
                    tries += 1;
                }
                result => return Ok(result?),
            }
        }
    }

    /// As [`Server::persist`], for as long as this.
    pub(super) async fn persist_within<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        limit: Duration,
        attempt: impl Fn() -> F,
    ) -> Result<T, GraphError> {
        timeout(limit, self.persist(|_| attempt())).await.unwrap_or(Err(Failure::UNAVAILABLE.into()))
    }
}

/// A transaction on a connection of its own. Dropping it closes the connection, by which the server takes everything back
/// and lets go of every lock; a pooled connection would keep them until somebody used it again.
pub(super) struct Transaction {
    txn: Txn,
    limit: Duration,
}

impl Transaction {
    /// Runs a statement whose rows nobody wants.
    pub(super) async fn run(&mut self, query: Query) -> Result<(), Failure> {
        within(self.limit, self.txn.run(query)).await
    }

    /// The rows of a statement.
    pub(super) async fn rows<T: DeserializeOwned>(&mut self, query: Query) -> Result<Vec<T>, Failure> {
        within(self.limit, async {
            let mut stream = self.txn.execute(query).await?;
            let mut rows = Vec::new();
            while let Some(row) = stream.next(&mut self.txn).await? {
                rows.push(row.to()?);
            }
            Ok(rows)
        })
        .await
    }

    /// Ends it: now it has happened.
    pub(super) async fn commit(self) -> Result<(), Failure> {
        within(self.limit, self.txn.commit()).await
    }
}

fn connect(config: &neo4rs::Config) -> Result<neo4rs::Graph, Failure> {
    Ok(neo4rs::Graph::connect(config.clone())?)
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, neo4rs::Error>>) -> Result<T, Failure> {
    match timeout(limit, work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Failure::UNAVAILABLE),
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A map, as a row for UNWIND.
pub(super) fn map<const N: usize>(entries: [(&str, BoltType); N]) -> BoltType {
    BoltType::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

/// A list, as a row for UNWIND.
pub(super) fn list<const N: usize>(entries: [BoltType; N]) -> BoltType {
    entries.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::retry::Retry;

    #[test]
    fn what_somebody_has_to_mend_is_waited_for_and_what_is_wrong_with_a_statement_is_not() {
        for code in [
            "Neo.ClientError.Security.Unauthorized",
            "Neo.ClientError.Security.Forbidden",
            "Neo.ClientError.Security.CredentialsExpired",
            "Neo.ClientError.Database.DatabaseNotFound",
            "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase",
        ] {
            assert_eq!(refusal(code, "no").retry(), Retry::Park(Duration::from_secs(300)), "{code}");
        }
        for code in ["Neo.ClientError.Statement.SyntaxError", "Neo.ClientError.Statement.TypeError", ""] {
            assert_eq!(refusal(code, "no").retry(), Retry::Count, "{code}");
        }
        let login = neo4rs::Error::AuthenticationError("The client is unauthorized".to_owned());
        assert_eq!(GraphError::from(Failure::from(login)).retry(), Retry::Park(Duration::from_secs(300)));
    }
}
