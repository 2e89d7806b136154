//! The numbers of `/metrics` on their way to the collector: the same names, the same labels, the same buckets.

use std::{
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::{
    tonic::{
        collector::metrics::v1::ExportMetricsServiceRequest,
        common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
        metrics::v1::{
            AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
            ScopeMetrics, Sum, metric::Data, number_data_point,
        },
        resource::v1::Resource,
    },
    transform::common::tonic::ResourceAttributesWithSchema,
};
use prometheus::proto::{LabelPair, MetricFamily, MetricType};
use prost::Message;

use super::{
    metrics::metrics,
    otlp::{Otlp, Sender},
    traces,
};

/// Since when is counted.
static START: LazyLock<u64> = LazyLock::new(now);

/// Sends the numbers of this process.
#[derive(Clone)]
pub(super) struct Numbers {
    sender: Sender,
    resource: Resource,
}

impl Numbers {
    pub(super) fn new(otlp: &Otlp, sender: Sender) -> Self {
        LazyLock::force(&START);
        let resource = ResourceAttributesWithSchema::from(&traces::resource(otlp));
        let resource = Resource { attributes: resource.attributes.0, ..Resource::default() };
        Self { sender, resource }
    }

    /// Sends them as they are now.
    pub(super) async fn send(&self) {
        let families = metrics().gather();
        let now = now();
        let metrics = families.iter().filter_map(|family| metric(family, *START, now)).collect();
        let scope = InstrumentationScope { name: "nectr".to_owned(), ..InstrumentationScope::default() };
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
        let resource = Some(self.resource.clone());
        let all = ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() };
        let message = ExportMetricsServiceRequest { resource_metrics: vec![all] }.encode_to_vec();
        self.sender.send(message).await;
    }
}

/// One family of series. None for kinds that we do not have.
fn metric(family: &MetricFamily, start: u64, now: u64) -> Option<Metric> {
    let cumulative = AggregationTemporality::Cumulative.into();
    let number = |labels: &[LabelPair], value: f64| NumberDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    };
    let series = family.get_metric().iter();
    let data = match family.get_field_type() {
        MetricType::COUNTER => Data::Sum(Sum {
            data_points: series.map(|one| number(one.get_label(), one.get_counter().get_value())).collect(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        MetricType::GAUGE => Data::Gauge(Gauge {
            data_points: series.map(|one| number(one.get_label(), one.get_gauge().get_value())).collect(),
        }),
        MetricType::HISTOGRAM => Data::Histogram(Histogram {
            data_points: series.map(|one| histogram(one, start, now)).collect(),
            aggregation_temporality: cumulative,
        }),
        MetricType::SUMMARY | MetricType::UNTYPED => return None,
    };
    let unit = match family.name().trim_end_matches("_total") {
        name if name.ends_with("_seconds") => "s",
        name if name.ends_with("_bytes") => "By",
        _ => "",
    };
    Some(Metric {
        name: family.name().to_owned(),
        description: family.help().to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

/// Prometheus counts what is below each bound, OTLP what is between two.
fn histogram(one: &prometheus::proto::Metric, start: u64, now: u64) -> HistogramDataPoint {
    let histogram = one.get_histogram();
    let below: Vec<_> = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite()).collect();
    let count = histogram.get_sample_count();
    let cumulative = below.iter().map(|bucket| bucket.cumulative_count()).chain([count]);
    let bucket_counts = cumulative
        .scan(0, |before, so_far| {
            let here = so_far.saturating_sub(*before);
            *before = so_far;
            Some(here)
        })
        .collect();
    HistogramDataPoint {
        attributes: attributes(one.get_label()),
        start_time_unix_nano: start,
        time_unix_nano: now,
        count,
        sum: Some(histogram.get_sample_sum()),
        bucket_counts,
        explicit_bounds: below.iter().map(|bucket| bucket.upper_bound()).collect(),
        ..HistogramDataPoint::default()
    }
}

fn attributes(labels: &[LabelPair]) -> Vec<KeyValue> {
    let text = |value: &str| AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    let labels = labels.iter();
    labels
        .map(|label| KeyValue { key: label.name().to_owned(), value: Some(text(label.value())), ..KeyValue::default() })
        .collect()
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use prometheus::{HistogramOpts, Registry};

    use super::*;

    #[test]
    fn a_histogram_keeps_its_buckets_and_what_lies_above_them() {
        let registry = Registry::new();
        let made = prometheus::Histogram::with_opts(HistogramOpts::new("x_seconds", "x").buckets(vec![1.0, 2.0]));
        let made = made.unwrap();
        registry.register(Box::new(made.clone())).unwrap();
        for value in [0.5, 0.6, 1.5, 9.0] {
            made.observe(value);
        }
        let metric = metric(&registry.gather()[0], 1, 2).unwrap();
        assert_eq!((metric.name.as_str(), metric.unit.as_str()), ("x_seconds", "s"));
        let Some(Data::Histogram(histogram)) = metric.data else { panic!() };
        let point = &histogram.data_points[0];
        assert_eq!(point.explicit_bounds, [1.0, 2.0]);
        assert_eq!((point.bucket_counts.as_slice(), point.count), ([2, 1, 1].as_slice(), 4));
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 2));
    }
}
