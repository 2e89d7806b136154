//! `nectr migrate`: the schema, without serving.

use std::io::Write;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};

use super::Settings;
use crate::{
    domain::Clock,
    store::{Store, sqlite_path},
};

/// Arguments of `nectr migrate`.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Apply what is missing
    Up(Settings),
    /// List every migration and whether it has been applied
    Status(Settings),
}

impl Migrate {
    pub async fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        match self.action {
            Action::Up(settings) => {
                let url = settings.database_url()?;
                let store =
                    Store::open(url.expose_secret(), Clock::system()).await.context("cannot open the database")?;
                up(&store, out).await
            }
            Action::Status(settings) => {
                let store = existing(&settings.database_url()?).await?;
                for (name, applied) in store.migrations().await? {
                    writeln!(out, "{:<8} {name}", if applied { "applied" } else { "pending" })?;
                }
                Ok(())
            }
        }
    }
}

async fn up(store: &Store, out: &mut dyn Write) -> anyhow::Result<()> {
    let missing = pending(store).await?;
    store.migrate().await.context("cannot migrate the database")?;
    for name in &missing {
        writeln!(out, "applied {name}")?;
    }
    if missing.is_empty() {
        writeln!(out, "nothing to do: the schema is up to date")?;
    }
    Ok(())
}

/// What is not applied yet.
pub(super) async fn pending(store: &Store) -> anyhow::Result<Vec<String>> {
    let all = store.migrations().await.context("cannot read the state of the schema")?;
    Ok(all.into_iter().filter(|(_, applied)| !applied).map(|(name, _)| name).collect())
}

/// Opens the database for a look, which must not make one.
pub(super) async fn existing(url: &SecretString) -> anyhow::Result<Store> {
    let url = url.expose_secret();
    if let Some(path) = sqlite_path(url).filter(|path| !path.exists()) {
        bail!("there is no database at {} yet: `nectr serve` and `nectr migrate up` make one", path.display());
    }
    Store::open_beside(url, Clock::system()).await.context("cannot open the database")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::super::{Cli, Command};

    async fn run(action: &str, database: &str) -> anyhow::Result<String> {
        let line = ["nectr", "migrate", action, "--database-url", database];
        let Some(Command::Migrate(migrate)) = Cli::try_parse_from(line).unwrap().command else { panic!() };
        let mut out = Vec::new();
        migrate.run(&mut out).await.map(|()| String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn migrating_twice_is_no_mistake_and_looking_makes_no_database() {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}/nectr.db", folder.path().display());
        let error = run("status", &database).await.unwrap_err().to_string();
        assert!(error.contains("there is no database"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

        assert!(run("up", &database).await.unwrap().starts_with("applied m0001"));
        assert!(run("up", &database).await.unwrap().contains("nothing to do"));
        assert!(run("status", &database).await.unwrap().starts_with("applied  m0001"));
    }
}
