//! The `OTEL_*` variables, as OpenTelemetry's specification has them.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use url::Url;

use super::read::{Reader, YES_NO};
use crate::telemetry::{Otlp, Sampling, Target};

/// What is exported. None: nothing is, because there is nobody to export to or because nothing shall be.
pub(super) fn otlp(read: &mut Reader<'_>) -> Option<Otlp> {
    let disabled = read.choice("OTEL_SDK_DISABLED", YES_NO).unwrap_or(false);
    let [traces, metrics] = targets(read);
    let timeout = read.number("OTEL_EXPORTER_OTLP_TIMEOUT", 1, 600_000);
    let service = read.text("OTEL_SERVICE_NAME").unwrap_or_default();
    let attributes = read.parse("OTEL_RESOURCE_ATTRIBUTES", "NAME=VALUE, comma separated", pairs).unwrap_or_default();
    let exporters = [("otlp", true), ("none", false)];
    let wanted = ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER"].map(|name| read.choice(name, &exporters));
    let traces = traces.filter(|_| wanted[0] == Some(true));
    let metrics = metrics.filter(|_| wanted[1] == Some(true));
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
    let wanted = !disabled && (traces.is_some() || metrics.is_some());
    wanted.then_some(Otlp {
        traces,
        metrics,
        timeout: Duration::from_millis(timeout),
        service,
        attributes,
        sampling,
        interval: Duration::from_millis(interval),
    })
}

/// What is said of one signal rather than of all.
struct Signal {
    path: &'static str,
    endpoint: &'static str,
    headers: &'static str,
    protocol: &'static str,
}

const SIGNALS: [Signal; 2] = [
    Signal {
        path: "v1/traces",
        endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        headers: "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        protocol: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    },
    Signal {
        path: "v1/metrics",
        endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        headers: "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
        protocol: "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    },
];

/// Where each signal goes: to an address of its own, as it stands, or below the one for all.
fn targets(read: &mut Reader<'_>) -> [Option<Target>; 2] {
    let all = read.url("OTEL_EXPORTER_OTLP_ENDPOINT");
    let common = given(read, "OTEL_EXPORTER_OTLP_HEADERS");
    spoken(read, "OTEL_EXPORTER_OTLP_PROTOCOL");
    SIGNALS.map(|signal| {
        let own = read.whole_url(signal.endpoint);
        let headers = given(read, signal.headers).or_else(|| common.clone()).unwrap_or_default();
        spoken(read, signal.protocol);
        let below = |all: &Url| Url::parse(&format!("{}/{}", all.as_str().trim_end_matches('/'), signal.path)).ok();
        let url = own.or_else(|| all.as_ref().and_then(below))?;
        Some(Target { url, headers })
    })
}

fn given(read: &mut Reader<'_>, name: &'static str) -> Option<HeaderMap> {
    read.parse(name, "NAME=VALUE, comma separated", headers)
}

/// Whether the protocol that is asked for is the one there is. Silence would look like a collector that hears nothing.
fn spoken(read: &mut Reader<'_>, name: &'static str) {
    let wanted = "http/protobuf, the only one nectr speaks (collectors commonly listen for it on port 4318)";
    read.parse(name, wanted, |text| text.eq_ignore_ascii_case("http/protobuf").then_some(()));
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
        assert!(metrics.traces.is_none() && metrics.metrics.is_some());
    }

    #[test]
    fn what_is_not_said_is_as_the_specification_has_it() {
        let otlp = config(&[THERE]).unwrap().unwrap();
        let (traces, metrics) = (otlp.traces.unwrap(), otlp.metrics.unwrap());
        assert_eq!(traces.url.as_str(), "http://collector:4318/v1/traces");
        assert_eq!(metrics.url.as_str(), "http://collector:4318/v1/metrics");
        assert_eq!((otlp.timeout, otlp.interval), (Duration::from_secs(10), Duration::from_secs(60)));
        assert_eq!(otlp.sampling, Sampling { follow_parent: true, ratio: 1.0 });
        assert_eq!(otlp.service, "nectr");
        assert!(traces.headers.is_empty() && metrics.headers.is_empty() && otlp.attributes.is_empty());
    }

    #[test]
    fn headers_are_decoded_and_never_shown() {
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2, x-team = a=b ,");
        let otlp = config(&[THERE, headers]).unwrap().unwrap();
        for target in [&otlp.traces, &otlp.metrics] {
            let headers = &target.as_ref().unwrap().headers;
            assert_eq!(
                (headers["authorization"].as_bytes(), headers["x-team"].as_bytes()),
                (&b"Bearer hunter2"[..], &b"a=b"[..])
            );
        }
        assert!(!format!("{otlp:?}").contains("hunter2"), "{otlp:?}");
        for wrong in ["hunter2", "a b=hunter2", "=hunter2", "x=hunter2%0a"] {
            let problem = config(&[THERE, ("OTEL_EXPORTER_OTLP_HEADERS", wrong)]).unwrap_err();
            assert!(problem.contains("OTEL_EXPORTER_OTLP_HEADERS") && !problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn a_signal_may_have_an_address_and_headers_of_its_own() {
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.test/in/");
        let headers = [
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=common,x-team=a"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=hunter2"),
        ];
        let otlp = config(&[THERE, traces, headers[0], headers[1]]).unwrap().unwrap();
        assert!(!format!("{otlp:?}").contains("hunter2"), "{otlp:?}");
        let (of_traces, of_metrics) = (otlp.traces.unwrap(), otlp.metrics.unwrap());
        assert_eq!(of_traces.url.as_str(), "https://traces.test/in/", "as it stands");
        assert_eq!((of_traces.headers.len(), of_traces.headers["authorization"].as_bytes()), (1, &b"hunter2"[..]));
        assert_eq!(of_metrics.url.as_str(), "http://collector:4318/v1/metrics");
        assert_eq!((of_metrics.headers.len(), of_metrics.headers["authorization"].as_bytes()), (2, &b"common"[..]));

        // One address alone: the other signal goes nowhere.
        let otlp = config(&[traces]).unwrap().unwrap();
        assert!(otlp.traces.is_some() && otlp.metrics.is_none());
        let below = config(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://proxy/otlp/")]).unwrap().unwrap();
        assert_eq!(below.traces.unwrap().url.as_str(), "http://proxy/otlp/v1/traces");
        let wrong = config(&[THERE, ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "hunter2")]).unwrap_err();
        assert!(wrong.contains("OTEL_EXPORTER_OTLP_METRICS_HEADERS") && !wrong.contains("hunter2"), "{wrong}");
    }

    #[test]
    fn a_protocol_that_is_not_spoken_is_said_with_the_one_that_is() {
        for name in
            ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"]
        {
            let problem = config(&[THERE, (name, "grpc")]).unwrap_err();
            assert!(problem.starts_with(name) && problem.contains("http/protobuf, the only one"), "{problem}");
            assert!(config(&[THERE, (name, "http/protobuf")]).unwrap().is_some());
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
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
        ] {
            assert!(config(&[THERE, wrong]).unwrap_err().contains(wrong.0), "{wrong:?}");
        }
    }
}
