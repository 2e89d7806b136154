//! `nectr deliveries`: the operator's view of the inbox, all users' and the operator's own, also beside a running server.

use std::io::Write;

use anyhow::bail;
use clap::{Args, Subcommand};
use secrecy::SecretString;

use super::{
    Failed, Settings, Usage, migrate,
    text::{clip, safe, table, time},
};
use crate::{
    domain::DeliveryId,
    store::{
        Store,
        deliveries::{DeliveryDetail, DeliveryFilter, DeliveryRow, Redelivered, Status},
        rejected::Rejected,
    },
};

/// How many rows are read at a time.
const PAGE: usize = 100;

/// Arguments of `nectr deliveries`.
#[derive(Debug, Args)]
pub(super) struct Deliveries {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List deliveries, newest first
    List {
        #[command(flatten)]
        filter: Filter,
        /// At most this many
        #[arg(long, default_value = "20")]
        limit: usize,
        #[command(flatten)]
        settings: Settings,
    },
    /// Show one delivery: its headers, tries and effects
    Show {
        /// The number in the first column of the list
        id: i64,
        /// Print the payload instead, byte for byte as it was received
        #[arg(long)]
        payload: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// List deliveries that were refused because they are malformed although signed, newest first
    Rejected {
        /// Print the body of this one instead, byte for byte as it was received
        #[arg(long, value_name = "ID")]
        payload: Option<i64>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Queue finished, failed or dead deliveries again
    Redeliver {
        /// The numbers in the first column of the list
        ids: Vec<i64>,
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        settings: Settings,
    },
}

#[derive(Debug, Args)]
struct Filter {
    /// Only this repository
    #[arg(long, value_name = "OWNER/NAME")]
    repo: Option<String>,
    /// Only this status: queued, running, completed, ignored, superseded, failed or dead
    #[arg(long, value_parser = status)]
    status: Option<Status>,
    /// Only this event
    #[arg(long)]
    event: Option<String>,
    /// Only the event GitHub gave this id
    #[arg(long)]
    guid: Option<String>,
    /// Only this pull request
    #[arg(long, value_name = "NUMBER")]
    pr: Option<i64>,
}

fn status(text: &str) -> Result<Status, String> {
    let words = || Status::ALL.map(Status::as_str).join(", ");
    Status::parse(text).ok_or_else(|| format!("the statuses are {}", words()))
}

impl Filter {
    fn is_empty(&self) -> bool {
        matches!(self, Self { repo: None, status: None, event: None, guid: None, pr: None })
    }

    fn into_filter(self) -> DeliveryFilter {
        DeliveryFilter {
            installations: None,
            repo: self.repo,
            status: self.status,
            event: self.event,
            guid: self.guid.map(|guid| guid.to_ascii_lowercase()),
            pr: self.pr,
        }
    }
}

impl Deliveries {
    pub async fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        match self.action {
            Action::List { filter, limit, settings } => {
                list(&open(&settings.database_url()?).await?, &filter.into_filter(), limit, out).await
            }
            Action::Show { id, payload, settings } => {
                let store = open(&settings.database_url()?).await?;
                let Some(detail) = store.delivery(DeliveryId(id)).await? else { bail!("there is no delivery {id}") };
                if payload { Ok(out.write_all(&detail.payload.unpack()?)?) } else { Ok(show(&detail, out)?) }
            }
            Action::Rejected { payload: None, settings } => {
                rejected(&open(&settings.database_url()?).await?, out).await
            }
            Action::Rejected { payload: Some(id), settings } => {
                let store = open(&settings.database_url()?).await?;
                let Some(body) = store.rejected_body(id).await? else { bail!("there is no rejected delivery {id}") };
                Ok(out.write_all(&body)?)
            }
            Action::Redeliver { ids, filter, settings } => {
                if ids.is_empty() == filter.is_empty() {
                    let text = "name the deliveries to run again, or describe them (`--status dead`), not both";
                    return Err(Usage(text.to_owned()).into());
                }
                let store = open(&settings.database_url()?).await?;
                let ids = match ids.is_empty() {
                    true => {
                        matching(&store, &filter.into_filter(), usize::MAX).await?.iter().map(|row| row.id).collect()
                    }
                    false => ids.into_iter().map(DeliveryId).collect(),
                };
                redeliver(&store, ids, out).await
            }
        }
    }
}

async fn open(url: &SecretString) -> anyhow::Result<Store> {
    let store = migrate::existing(url).await?;
    if !migrate::pending(&store).await?.is_empty() {
        bail!("the database has an older schema than this nectr: run `nectr migrate up` first");
    }
    Ok(store)
}

async fn matching(store: &Store, filter: &DeliveryFilter, limit: usize) -> anyhow::Result<Vec<DeliveryRow>> {
    let (mut rows, mut before) = (Vec::new(), None);
    loop {
        let page = store.list_deliveries(filter, PAGE.min(limit - rows.len()), before).await?;
        rows.extend(page.items);
        before = page.next;
        if before.is_none() || rows.len() >= limit {
            return Ok(rows);
        }
    }
}

async fn list(store: &Store, filter: &DeliveryFilter, limit: usize, out: &mut dyn Write) -> anyhow::Result<()> {
    let rows = if limit == 0 { Vec::new() } else { matching(store, filter, limit).await? };
    if rows.is_empty() {
        return Ok(writeln!(out, "no deliveries")?);
    }
    let rows: Vec<_> = rows.iter().map(columns).collect();
    let heading = ["ID", "RECEIVED", "STATUS", "TRIES", "EVENT", "REPOSITORY", "PR", "OUTCOME"];
    Ok(write!(out, "{}", table(heading, &rows))?)
}

async fn rejected(store: &Store, out: &mut dyn Write) -> anyhow::Result<()> {
    let rows = store.rejected(PAGE).await?;
    if rows.is_empty() {
        return Ok(writeln!(out, "no rejected deliveries")?);
    }
    let header = |row: &Rejected, name| clip(row.headers[name].as_str().unwrap_or("-"), 40);
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let (event, guid) = (header(row, "x-github-event"), header(row, "x-github-delivery"));
            let installation = row.installation.to_string();
            [row.id.to_string(), time(row.received_at), installation, event, guid, clip(&row.reason, 80)]
        })
        .collect();
    let heading = ["ID", "RECEIVED", "INSTALLATION", "EVENT", "GUID", "REASON"];
    Ok(write!(out, "{}", table(heading, &rows))?)
}

fn columns(row: &DeliveryRow) -> [String; 8] {
    let optional = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        row.id.to_string(),
        time(row.received_at),
        row.status.as_str().to_owned(),
        row.attempts.to_string(),
        clip(&event(row), 40),
        optional(row.repo.as_deref().map(|repo| clip(repo, 60))),
        optional(row.pr_number.map(|number| number.to_string())),
        optional(row.outcome.as_deref().or(row.last_error.as_deref()).map(|text| clip(text, 60))),
    ]
}

fn event(row: &DeliveryRow) -> String {
    row.action.as_ref().map_or_else(|| row.event.clone(), |action| format!("{}.{action}", row.event))
}

fn show(detail: &DeliveryDetail, out: &mut dyn Write) -> std::io::Result<()> {
    let row = &detail.row;
    let mut line = |name: &str, value: Option<String>| match value {
        Some(value) => writeln!(out, "{name:<13} {}", safe(&value)),
        None => Ok(()),
    };
    line("delivery", Some(row.id.to_string()))?;
    line("guid", Some(row.guid.clone()))?;
    line("installation", Some(row.installation.to_string()))?;
    line("repository", row.repo.clone())?;
    line("event", Some(event(row)))?;
    line("pull request", row.pr_number.map(|number| format!("#{number}")))?;
    line("status", Some(row.status.as_str().to_owned()))?;
    line("outcome", row.outcome.clone())?;
    line("tries", Some(row.attempts.to_string()))?;
    line("received", Some(time(row.received_at)))?;
    line("finished", row.finished_at.map(time))?;
    line("next try", row.next_attempt_at.map(time))?;
    line("last error", row.last_error.clone())?;
    if let Some(headers) = detail.headers.as_object().filter(|headers| !headers.is_empty()) {
        writeln!(out, "\nheaders")?;
        for (name, value) in headers {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            writeln!(out, "  {}: {}", safe(name), safe(&value))?;
        }
    }
    if !detail.attempts.is_empty() {
        writeln!(out, "\ntries")?;
        for attempt in &detail.attempts {
            let (result, error) = (attempt.result.as_deref().unwrap_or("running"), attempt.error.as_deref());
            let error = error.map(|error| format!(": {}", safe(error))).unwrap_or_default();
            writeln!(out, "  {} {} {}{error}", attempt.number, time(attempt.started_at), safe(result))?;
        }
    }
    if !detail.effects.is_empty() {
        writeln!(out, "\neffects")?;
        for effect in &detail.effects {
            let url = effect.url.as_deref().unwrap_or("(page not known)");
            writeln!(out, "  {} {} {}", time(effect.created_at), safe(&effect.kind), safe(url))?;
        }
    }
    writeln!(out, "\npayload       {} bytes (`--payload` prints them)", detail.payload.size())
}

/// Queues them oldest first, as they came. Fails in the end if one of them could not be.
async fn redeliver(store: &Store, mut ids: Vec<DeliveryId>, out: &mut dyn Write) -> anyhow::Result<()> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(writeln!(out, "no deliveries")?);
    }
    let mut failed = false;
    for id in ids {
        let (ok, text) = match store.redeliver(id).await? {
            Redelivered::Queued => (true, "queued"),
            Redelivered::Busy => (true, "is waiting or running already"),
            Redelivered::Unknown => (false, "is not known"),
        };
        failed |= !ok;
        writeln!(out, "{id} {text}")?;
    }
    if failed { Err(Failed.into()) } else { Ok(()) }
}

#[cfg(test)]
#[path = "deliveries_tests.rs"]
mod tests;
