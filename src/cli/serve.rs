//! `nectr serve`: the server.

use anyhow::Context;
use clap::Args;
use secrecy::ExposeSecret;

use super::Usage;
use crate::{
    config::{Config, Flags},
    run::{self, Roles},
    store::sqlite_path,
    telemetry,
};

/// Arguments of `nectr serve`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Which halves to run: `all`, `api`, `worker`; anything but all needs PostgreSQL
    #[arg(long, value_name = "ROLES", default_value = "all", value_parser = roles)]
    role: Roles,
    #[command(flatten)]
    flags: Flags,
}

impl Serve {
    pub async fn run(self) -> anyhow::Result<()> {
        let config = Config::load(&self.flags)?;
        if self.role != Roles::ALL && sqlite_path(config.database_url.expose_secret()).is_some() {
            let text = "--role: one process serves a SQLite database, all roles in it; halves need PostgreSQL";
            return Err(Usage(text.to_owned()).into());
        }
        let telemetry = telemetry::init(&config.log.filter, config.log.format, config.otlp.as_ref());
        run::serve(config, self.role, telemetry).await.context("serving failed")
    }
}

fn roles(text: &str) -> Result<Roles, String> {
    let mut roles = Roles { api: false, worker: false };
    for word in text.split(',').map(str::trim) {
        match word {
            "all" => roles = Roles::ALL,
            "api" => roles.api = true,
            "worker" => roles.worker = true,
            _ => return Err("the roles are `all`, `api` and `worker`, separated by commas".to_owned()),
        }
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_all_or_a_list() {
        assert_eq!(roles("all"), Ok(Roles::ALL));
        assert_eq!(roles("api,worker"), Ok(Roles::ALL));
        assert_eq!(roles("all,api"), Ok(Roles::ALL));
        assert_eq!(roles("api"), Ok(Roles { api: true, worker: false }));
        assert_eq!(roles(" worker "), Ok(Roles { api: false, worker: true }));
        for wrong in ["", "web", "api,", "API"] {
            assert!(roles(wrong).is_err(), "{wrong:?}");
        }
    }
}
