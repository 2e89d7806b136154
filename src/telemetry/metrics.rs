//! The numbers behind `/metrics`, one process's since its start.
//!
//! Labels come from closed sets in the code, never from what somebody sends: the number of series is bounded, and no
//! name of a repository or person is among them. What is in the database rather than in the process (how much waits) is
//! put in when somebody asks.

use std::{sync::LazyLock, time::Duration};

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector, proto::MetricFamily,
};

use super::process::Process;

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    /// What has the names of every process rather than ours.
    process: Registry,
    /// Requests to the webhook receiver by the HTTP status that was answered.
    pub deliveries_received: IntCounterVec,
    /// Seconds from a delivery's head to its answer.
    pub intake_seconds: Histogram,
    /// Attempts at deliveries and tasks (`source`) by how they ended (`result`).
    pub work: IntCounterVec,
    /// Seconds that an attempt took, by `source`.
    pub work_seconds: HistogramVec,
    /// How many attempts work took that ended well, by `source`.
    pub work_attempts: HistogramVec,
    /// Seconds from a delivery's arrival (or from when a review was asked for) until the review is posted.
    pub review_seconds: Histogram,
    /// Reviews that were posted, by `verdict`.
    pub reviews: IntCounterVec,
    /// Requests to GitHub by `status`: `2xx`, `3xx`, `4xx`, `5xx`, `limited` (whatever status GitHub says it with), or
    /// `none` where no answer arrived, or not all of it.
    pub github_requests: IntCounterVec,
    /// What GitHub said remains of the bot's rate limit (`resource`: `core`, `graphql`, `search`), at its last answer.
    pub github_remaining: IntGaugeVec,
    /// Look-ups in the pull-request state cache: `result` is `hit` or `miss`.
    pub pr_state_cache: IntCounterVec,
    /// Deliveries and tasks by `state`: `queued`, `running`, `dead`.
    pub queue: IntGaugeVec,
    /// Age of the oldest that waits, in seconds. Without labels; a vector, because it can be unknown.
    pub queue_oldest_seconds: IntGaugeVec,
    /// Deliveries and tasks (`source`) that wait, by what for (`status`): `queued` for a worker, `failed` for another
    /// attempt, `parked` for GitHub or whatever else is not ready.
    pub waiting: IntGaugeVec,
    /// Webhooks of connected repositories by `state`, in the words of the API.
    pub webhooks: IntGaugeVec,
    /// 1 while the code graph answers, 0 while it does not; absent with `GRAPH=off`.
    pub graph_up: IntGaugeVec,
    /// Seconds since the process started.
    pub uptime_seconds: IntGauge,
}

/// This process's numbers.
pub fn metrics() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::new().expect("the names below are names, once each"));
    &METRICS
}

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// From a disk's flush to GitHub's patience.
const QUICK: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// From a state that changed to a review that waited for a rate limit.
const SLOW: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0, 3600.0];

/// From the first attempt to the last that counts.
const ATTEMPTS: [f64; 5] = [1.0, 2.0, 3.0, 5.0, 8.0];

impl Metrics {
    fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("nectr".to_owned()), None)?;
        let process = Registry::new();
        process.register(Box::new(Process::new()?))?;
        let add = Add(&registry);
        let this = Self {
            process,
            deliveries_received: add.counters(
                "deliveries_received_total",
                "Requests to the webhook receiver, by the status that was answered.",
                &["status"],
            )?,
            intake_seconds: add.histogram("intake_seconds", "From a delivery's head to its answer.", &QUICK)?,
            work: add.counters(
                "work_total",
                "Attempts at deliveries and tasks, by how they ended.",
                &["source", "result"],
            )?,
            work_seconds: add.histograms("work_seconds", "How long attempts took.", &SLOW, &["source"])?,
            work_attempts: add.histograms(
                "work_attempts",
                "How many attempts work took that ended well.",
                &ATTEMPTS,
                &["source"],
            )?,
            review_seconds: add.histogram(
                "review_seconds",
                "From a delivery's arrival to its posted review.",
                &SLOW,
            )?,
            reviews: add.counters("reviews_total", "Reviews that were posted, by verdict.", &["verdict"])?,
            github_requests: add.counters("github_requests_total", "Requests to GitHub, by answer.", &["status"])?,
            github_remaining: add.gauges(
                "github_rate_limit_remaining",
                "What GitHub said remains of the bot's rate limit.",
                &["resource"],
            )?,
            pr_state_cache: add.counters(
                "pr_state_cache_total",
                "Look-ups in the cache of pull-request states.",
                &["result"],
            )?,
            queue: add.gauges("queue", "Deliveries and tasks that are not finished, by state.", &["state"])?,
            queue_oldest_seconds: add.gauges(
                "queue_oldest_seconds",
                "Age of the oldest delivery or task that waits.",
                &[],
            )?,
            waiting: add.gauges("waiting", "Deliveries and tasks that wait, by what for.", &["source", "status"])?,
            webhooks: add.gauges("webhooks", "Webhooks of connected repositories, by how they are.", &["state"])?,
            graph_up: add.gauges("graph_up", "Whether the code graph answers.", &["backend"])?,
            uptime_seconds: add.gauge("uptime_seconds", "Since the process started.")?,
            registry: registry.clone(),
        };
        add.gauges("build_info", "1; the version is in the label.", &["version"])?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        Ok(this)
    }

    /// Everything, in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        // Only a writer that fails could fail, and a vector does not.
        let _ = TextEncoder::new().encode(&self.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }

    /// Everything, as it is now.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        let mut all = self.registry.gather();
        all.extend(self.process.gather());
        all
    }

    /// Notes what waits, or that nobody knows: a number from before the database went would say that all is well.
    pub fn waiting(&self, known: Option<Waiting>) {
        let Some(Waiting { queued, running, dead, oldest_seconds, reasons }) = known else {
            self.queue.reset();
            self.queue_oldest_seconds.reset();
            self.waiting.reset();
            return;
        };
        for (source, statuses) in reasons {
            for (status, count) in statuses {
                self.waiting.with_label_values(&[source, status]).set(count);
            }
        }
        for (state, count) in [("queued", queued), ("running", running), ("dead", dead)] {
            self.queue.with_label_values(&[state]).set(count);
        }
        self.queue_oldest_seconds.with_label_values::<&str>(&[]).set(oldest_seconds);
    }

    /// Notes how the webhooks are, or that nobody knows.
    pub fn webhooks(&self, known: Option<impl IntoIterator<Item = (&'static str, i64)>>) {
        match known {
            None => self.webhooks.reset(),
            Some(known) => known.into_iter().for_each(|(state, count)| {
                self.webhooks.with_label_values(&[state]).set(count);
            }),
        }
    }

    /// Notes an answer of the webhook receiver.
    pub fn received(&self, status: u16, took: Duration) {
        self.deliveries_received.with_label_values(&[&status.to_string()]).inc();
        self.intake_seconds.observe(took.as_secs_f64());
    }

    /// Notes an attempt that ended.
    pub fn worked(&self, source: &str, result: &str, took: Duration) {
        self.work.with_label_values(&[source, result]).inc();
        self.work_seconds.with_label_values(&[source]).observe(took.as_secs_f64());
    }

    /// Notes a review that is posted, this long after it was asked for. Clocks of replicas may differ: never less than 0.
    pub fn reviewed(&self, after: chrono::TimeDelta) {
        self.review_seconds.observe(after.to_std().unwrap_or_default().as_secs_f64());
    }

    /// Notes a request to GitHub.
    pub fn asked_github(&self, how: Asked) {
        let class = match how {
            Asked::Unanswered => "none",
            Asked::Limited => "limited",
            Asked::Answered(200..=299) => "2xx",
            Asked::Answered(300..=399) => "3xx",
            Asked::Answered(400..=499) => "4xx",
            Asked::Answered(_) => "5xx",
        };
        self.github_requests.with_label_values(&[class]).inc();
    }

    /// Notes what GitHub says remains of the bot's limit. A resource that is not one of those we use is not a label.
    pub fn remaining(&self, resource: &str, remaining: i64) {
        if matches!(resource, "core" | "graphql" | "search") {
            self.github_remaining.with_label_values(&[resource]).set(remaining);
        }
    }
}

/// How a request to GitHub ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// With this status.
    Answered(u16),
    /// Refused because too much was asked.
    Limited,
    /// No answer arrived, or not all of it.
    Unanswered,
}

/// Deliveries and tasks that are not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Waiting for a worker, or for their time.
    pub queued: i64,
    /// In a worker's hands.
    pub running: i64,
    /// Given up.
    pub dead: i64,
    /// Age of the oldest that waits, in seconds.
    pub oldest_seconds: i64,
    /// Of each source what waits, by what for.
    pub reasons: [(&'static str, [(&'static str, i64); 3]); 2],
}

/// Makes and registers.
struct Add<'a>(&'a Registry);

impl Add<'_> {
    fn registered<C: Collector + Clone + 'static>(&self, made: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.registered(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.registered(IntGauge::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.registered(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        self.registered(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> Result<HistogramVec, prometheus::Error> {
        self.registered(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_rendered_and_foreign_words_are_no_labels() {
        let metrics = Metrics::new().unwrap_or_else(|error| panic!("{error}"));
        metrics.received(202, Duration::from_millis(2));
        metrics.worked("delivery", "completed", Duration::from_secs(1));
        metrics.asked_github(Asked::Limited);
        metrics.asked_github(Asked::Unanswered);
        metrics.remaining("core", 4999);
        let parked = [("queued", 0), ("failed", 0), ("parked", 1)];
        let reasons = [("delivery", parked), ("task", [("queued", 0), ("failed", 0), ("parked", 0)])];
        metrics.waiting(Some(Waiting { queued: 1, running: 0, dead: 0, oldest_seconds: 7, reasons }));
        metrics.webhooks(Some([("ok", 2), ("missing", 0)]));
        metrics.remaining("\"} evil 1", 1);
        let text = metrics.render();
        for line in [
            "nectr_deliveries_received_total{status=\"202\"} 1",
            "nectr_intake_seconds_bucket{le=\"0.0025\"} 1",
            "nectr_work_total{result=\"completed\",source=\"delivery\"} 1",
            "nectr_github_requests_total{status=\"limited\"} 1",
            "nectr_github_requests_total{status=\"none\"} 1",
            "nectr_github_rate_limit_remaining{resource=\"core\"} 4999",
            "nectr_waiting{source=\"delivery\",status=\"parked\"} 1",
            "nectr_webhooks{state=\"missing\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
        assert!(!text.contains("evil"));
        assert!(text.contains("\nnectr_queue_oldest_seconds 7\n"), "{text}");
        metrics.waiting(None);
        metrics.webhooks(None::<[_; 0]>);
        let unknown_now = metrics.render();
        for unknown in ["nectr_queue", "nectr_waiting", "nectr_webhooks"] {
            assert!(!unknown_now.contains(unknown), "what is not known is not told: {unknown}");
        }
        assert!(text.contains(concat!("nectr_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1")));
    }
}
