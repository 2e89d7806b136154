//! The `OTEL_*` variables, as OpenTelemetry's specification has them.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::read::{Reader, YES_NO};
use crate::telemetry::{Otlp, Sampling};

/// What is exported. None: nothing is, because there is nobody to export to or because nothing shall be.
pub(super) fn otlp(read: &mut Reader<'_>) -> Option<Otlp> {
    let disabled = read.choice("OTEL_SDK_DISABLED", YES_NO).unwrap_or(false);
    let endpoint = read.url("OTEL_EXPORTER_OTLP_ENDPOINT");
    let headers = read.parse("OTEL_EXPORTER_OTLP_HEADERS", "NAME=VALUE, comma separated", headers);
    let timeout = read.number("OTEL_EXPORTER_OTLP_TIMEOUT", 1, 600_000);
    read.choice("OTEL_EXPORTER_OTLP_PROTOCOL", &[("http/protobuf", ())]);
    let service = read.text("OTEL_SERVICE_NAME").unwrap_or_default();
    let attributes = read.parse("OTEL_RESOURCE_ATTRIBUTES", "NAME=VALUE, comma separated", pairs).unwrap_or_default();
    let exporters = [("otlp", true), ("none", false)];
    let traces = read.choice("OTEL_TRACES_EXPORTER", &exporters).unwrap_or(false);
    let metrics = read.choice("OTEL_METRICS_EXPORTER", &exporters).unwrap_or(false);
    let interval = read.number("OTEL_METRIC_EXPORT_INTERVAL", 100, 24 * 3_600_000);
    let part = read.number("OTEL_TRACES_SAMPLER_ARG", 0.0, 1.0);
    let sampling = |follow_parent, ratio| Sampling { follow_parent, ratio };
    let samplers = [
        ("always_on", sampling(false, 1.0)),
        ("always_off", sampling(false, 0.0)),
        ("traceidratio", sampling(false, part)),
        ("parentbased_always_on", sampling(true, 1.0)),
        ("parentbased_always_off", sampling(true, 0.0)),
        ("parentbased_traceidratio", sampling(true, part)),
    ];
    let sampling = read.choice("OTEL_TRACES_SAMPLER", &samplers)?;
    let endpoint = endpoint.filter(|_| !disabled && (traces || metrics))?;
    Some(Otlp {
        endpoint,
        headers: headers.unwrap_or_default(),
        timeout: Duration::from_millis(timeout),
        service,
        attributes,
        sampling,
        traces,
        metrics,
        interval: Duration::from_millis(interval),
    })
}

fn headers(text: &str) -> Option<HeaderMap> {
    let header = |(name, value): (String, String)| {
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
    };
    pairs(text)?.into_iter().map(header).collect()
}

/// `a=1,b=%20`: names and values, percent-decoded.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let name = name.trim();
        (!name.is_empty()).then_some(())?;
        Some((name.to_owned(), decode(value.trim())?))
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect()
}

/// None if what is encoded is no text. A `%` that begins nothing stands for itself.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let encoded = after.get(..2).filter(|_| *first == b'%').and_then(|digits| hex::decode(digits).ok());
        match encoded {
            Some(byte) => {
                bytes.extend(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Config;

    fn config(settings: &[(&str, &str)]) -> Result<Option<Otlp>, String> {
        let sandbox = Config::for_sandbox("http://github.test/api", "http://github.test", "sqlite://x.db", settings);
        sandbox.map(|config| config.otlp).map_err(|problems| problems.to_string())
    }

    const THERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

    #[test]
    fn without_an_endpoint_or_with_everything_switched_off_nothing_is_exported() {
        assert!(config(&[]).unwrap().is_none());
        assert!(config(&[("OTEL_SERVICE_NAME", "x")]).unwrap().is_none());
        assert!(config(&[THERE, ("OTEL_SDK_DISABLED", "true")]).unwrap().is_none());
        let none = [THERE, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")];
        assert!(config(&none).unwrap().is_none());
        let metrics = config(&none[..2]).unwrap().unwrap();
        assert!(!metrics.traces && metrics.metrics);
    }

    #[test]
    fn what_is_not_said_is_as_the_specification_has_it() {
        let otlp = config(&[THERE]).unwrap().unwrap();
        assert_eq!(otlp.endpoint.as_str(), "http://collector:4318/");
        assert_eq!((otlp.timeout, otlp.interval), (Duration::from_secs(10), Duration::from_secs(60)));
        assert_eq!(otlp.sampling, Sampling { follow_parent: true, ratio: 1.0 });
        assert_eq!(otlp.service, "nectr");
        assert!(otlp.traces && otlp.metrics && otlp.headers.is_empty() && otlp.attributes.is_empty());
    }

    #[test]
    fn headers_are_decoded_and_never_shown() {
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2, x-team = a=b ,");
        let otlp = config(&[THERE, headers]).unwrap().unwrap();
        assert_eq!(otlp.headers["authorization"], "Bearer hunter2");
        assert_eq!(otlp.headers["x-team"], "a=b");
        assert!(!format!("{otlp:?}").contains("hunter2"), "{otlp:?}");
        for wrong in ["hunter2", "a b=hunter2", "=hunter2", "x=hunter2%0a"] {
            let problem = config(&[THERE, ("OTEL_EXPORTER_OTLP_HEADERS", wrong)]).unwrap_err();
            assert!(problem.contains("OTEL_EXPORTER_OTLP_HEADERS") && !problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn samplers_and_attributes_are_read_and_what_is_not_spoken_is_said() {
        let ratio = ("OTEL_TRACES_SAMPLER_ARG", "0.25");
        let some = [THERE, ("OTEL_TRACES_SAMPLER", "traceidratio"), ratio];
        assert_eq!(config(&some).unwrap().unwrap().sampling, Sampling { follow_parent: false, ratio: 0.25 });
        let named = config(&[THERE, ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test%2C1,a=100%")]);
        let expected = [("deployment.environment.name", "test,1"), ("a", "100%")];
        assert_eq!(named.unwrap().unwrap().attributes, expected.map(|(name, value)| (name.into(), value.into())));
        for wrong in [
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
        ] {
            assert!(config(&[THERE, wrong]).unwrap_err().contains(wrong.0), "{wrong:?}");
        }
    }
}
