//! `nectr openapi`: the document, as the server serves it.

use std::io::Write;

use clap::{Args, ValueEnum};

use crate::api;

/// Arguments of `nectr openapi`.
#[derive(Debug, Args)]
pub(super) struct OpenApi {
    /// How to write it
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Yaml,
}

impl OpenApi {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        let document = match self.format {
            Format::Json => api::document_json(),
            Format::Yaml => api::document_yaml(),
        };
        writeln!(out, "{}", document.trim_end())?;
        Ok(())
    }
}
