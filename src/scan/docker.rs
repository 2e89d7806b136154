//! Containers: what images are built on, and what runs beside the project.

use serde_json::Value;

use super::{draft::Draft, keys, project::Project};

/// Services that stand for a technology, by the name of their image.
const SERVICES: &[(&str, &str)] = &[
    ("postgres", "PostgreSQL"),
    ("postgis", "PostgreSQL"),
    ("timescaledb", "PostgreSQL"),
    ("mysql", "MySQL"),
    ("mariadb", "MariaDB"),
    ("mongo", "MongoDB"),
    ("redis", "Redis"),
    ("valkey", "Valkey"),
    ("rabbitmq", "RabbitMQ"),
    ("kafka", "Kafka"),
    ("cp-kafka", "Kafka"),
    ("nats", "NATS"),
    ("elasticsearch", "Elasticsearch"),
    ("opensearch", "OpenSearch"),
    ("neo4j", "Neo4j"),
    ("clickhouse-server", "ClickHouse"),
    ("minio", "MinIO"),
    ("nginx", "nginx"),
    ("traefik", "Traefik"),
    ("prometheus", "Prometheus"),
    ("grafana", "Grafana"),
    ("localstack", "LocalStack"),
    ("keycloak", "Keycloak"),
];

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    for file in project.files(keys::is_container) {
        let words = file.text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).take(2_000);
        let froms = words.filter(|words| words.first().is_some_and(|word| word.eq_ignore_ascii_case("from")));
        let image = froms
            .filter_map(|words| words.into_iter().skip(1).find(|word| !word.starts_with("--")))
            .filter(|image| !image.contains('$') && (image.contains([':', '/', '.']) || *image == "scratch"))
            .last();
        if let Some(image) = image {
            draft.conventions.add(format!("container on {}", image.split('@').next().unwrap_or(image)));
        }
    }
    let compose = ["compose.yml", "compose.yaml", "docker-compose.yml", "docker-compose.yaml"];
    for file in project.files(|name| compose.contains(&name)) {
        let Some(read) = draft.yaml(&file) else { continue };
        for service in read.get("services").and_then(Value::as_object).into_iter().flatten().map(|(_, service)| service)
        {
            let image = service.get("image").and_then(Value::as_str).unwrap_or_default();
            let name = image.rsplit('/').next().and_then(|name| name.split([':', '@']).next()).unwrap_or_default();
            draft.depends_on(SERVICES, [name]);
        }
    }
}
