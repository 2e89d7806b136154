//! Maven and Gradle, Java and Kotlin.

use super::{
    draft::{Draft, Source, at},
    project::{File, Project, file_name, join, outermost, within},
};

/// By the start of `group:artifact`.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("org.springframework.boot*", "Spring Boot"),
    ("org.springframework.cloud*", "Spring Cloud"),
    ("org.springframework:*", "Spring"),
    ("io.quarkus*", "Quarkus"),
    ("io.micronaut*", "Micronaut"),
    ("io.ktor*", "Ktor"),
    ("io.vertx*", "Vert.x"),
    ("io.dropwizard*", "Dropwizard"),
    ("org.junit*", "JUnit"),
    ("junit:junit*", "JUnit"),
    ("org.testng*", "TestNG"),
    ("org.mockito*", "Mockito"),
    ("io.mockk*", "MockK"),
    ("io.kotest*", "Kotest"),
    ("org.hibernate*", "Hibernate"),
    ("org.mybatis*", "MyBatis"),
    ("org.jooq*", "jOOQ"),
    ("org.projectlombok*", "Lombok"),
    ("org.apache.kafka*", "Kafka"),
    ("org.apache.spark*", "Spark"),
    ("io.grpc*", "gRPC"),
    ("com.android.*", "Android"),
    ("androidx.compose*", "Jetpack Compose"),
    ("androidx.*", "Android"),
    ("org.jetbrains.compose*", "Compose Multiplatform"),
    ("com.google.dagger*", "Dagger"),
    ("org.testcontainers*", "Testcontainers"),
    ("org.flywaydb*", "Flyway"),
];

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    let poms = project.named("pom.xml");
    for file in &poms {
        pom(project, draft, file);
    }
    let gradle = project.files(|name| matches!(name, "build.gradle" | "build.gradle.kts"));
    let settings = project.files(|name| matches!(name, "settings.gradle" | "settings.gradle.kts"));
    for file in &settings {
        include(draft, file);
    }
    for file in &gradle {
        draft.package(file.folder, None, "gradle");
        build(draft, file);
    }
    for file in project.named("libs.versions.toml") {
        catalog(draft, &file);
    }
    for path in project.paths() {
        let name = file_name(path);
        let main = ["Application.java", "Application.kt", "Main.java", "Main.kt"].iter().any(|end| name.ends_with(end));
        if main && path.contains("src/main/") {
            draft.entries.add(path);
        }
    }
    commands(project, draft, &poms, "maven", &["mvnw", "mvn"], &["package", "test"]);
    let roots: Vec<_> = if settings.is_empty() { gradle } else { settings };
    commands(project, draft, &roots, "gradle", &["gradlew", "gradle"], &["build", "test"]);
}

fn commands(
    project: &Project<'_>,
    draft: &mut Draft,
    files: &[File<'_>],
    manager: &str,
    [wrapper, tool]: &[&str; 2],
    goals: &[&str],
) {
    for file in outermost(files) {
        draft.managers.add(manager);
        let tool = if project.has_in(file.folder, wrapper) { format!("./{wrapper}") } else { (*tool).to_owned() };
        for goal in goals {
            draft.command(Source::Usual, &within(file.folder, &format!("{tool} {goal}")));
        }
    }
}

fn pom(project: &Project<'_>, draft: &mut Draft, file: &File<'_>) {
    let Some(document) = draft.xml(file) else { return };
    let root = document.root_element();
    let child = |node: roxmltree::Node<'_, '_>, name: &str| {
        let text = node.children().find(|node| node.has_tag_name(name) || node.tag_name().name() == name)?.text()?;
        Some(text.trim().to_owned())
    };
    let maven = if project.has_in(file.folder, "mvnw") { "./mvnw" } else { "mvn" };
    draft.package(file.folder, child(root, "artifactId").as_deref(), "maven");
    for node in root.descendants() {
        match node.tag_name().name() {
            "dependency" | "parent" | "plugin" => {
                let group = child(node, "groupId").unwrap_or_default();
                let artifact = child(node, "artifactId").unwrap_or_default();
                draft.depends_on(FRAMEWORKS, [format!("{group}:{artifact}").as_str()]);
                if let Some((_, tool, command)) = LINTERS.iter().find(|(name, ..)| artifact.contains(name)) {
                    draft.conventions.add(tool);
                    draft.command(Source::Usual, &within(file.folder, &format!("{maven} {command}")));
                }
            }
            "java.version" | "maven.compiler.release" | "maven.compiler.source" => {
                let version = node.text().unwrap_or_default().trim();
                if is_version(version) {
                    draft.conventions.add(format!("Java {version}"));
                }
            }
            _ => {}
        }
    }
}

const LINTERS: &[(&str, &str, &str)] = &[
    ("checkstyle", "Checkstyle", "checkstyle:check"),
    ("spotless", "Spotless", "spotless:check"),
    ("spotbugs", "SpotBugs", "spotbugs:check"),
    ("ktlint", "ktlint", "ktlint:check"),
    ("detekt", "detekt", "detekt:check"),
];

/// A build script, by its lines: it is a program, and nobody runs it here.
fn build(draft: &mut Draft, file: &File<'_>) {
    for line in code(file.text) {
        for word in quoted(line) {
            if word.contains('.') || word.contains(':') {
                draft.depends_on(FRAMEWORKS, [word]);
            }
            if let Some((_, tool, _)) = LINTERS.iter().find(|(name, ..)| word.contains(name)) {
                draft.conventions.add(tool);
            }
        }
        let version = line.split_once("jvmToolchain(").or(line.split_once("JavaLanguageVersion.of("));
        if let Some((_, rest)) = version {
            let version = rest.split(')').next().unwrap_or_default().trim();
            if is_version(version) {
                draft.conventions.add(format!("Java {version}"));
            }
        }
        if let Some(class) = line.split_once("mainClass").and_then(|(_, rest)| quoted(rest).next()) {
            draft.entries.add(format!("{}: {class}", file.path));
        }
    }
}

/// `include(":app", ":lib:core")` and `rootProject.name = "x"`.
fn include(draft: &mut Draft, file: &File<'_>) {
    let mut including = false;
    for line in code(file.text) {
        if let Some(rest) = line.strip_prefix("rootProject.name") {
            draft.package(file.folder, quoted(rest).next(), "gradle");
        }
        including |= line.strip_prefix("include").is_some_and(|rest| rest.starts_with(['(', ' ', '\t']));
        if including {
            for name in quoted(line).filter(|name| !name.contains("..")).take(200) {
                let folder = name.trim_start_matches(':').replace(':', "/");
                draft.package(&join(file.folder, &folder), Some(name.trim_start_matches(':')), "gradle");
            }
            including = line.ends_with([',', '(']);
        }
    }
}

/// A version catalogue: `libraries` and `plugins` name what a project uses.
fn catalog(draft: &mut Draft, file: &File<'_>) {
    let Some(table) = draft.toml(file) else { return };
    for kind in ["libraries", "plugins"] {
        for entry in at(&table, &[kind]).and_then(toml::Value::as_table).into_iter().flatten().map(|(_, entry)| entry) {
            let text = |key| entry.get(key).and_then(toml::Value::as_str);
            let name = match (entry.as_str().or(text("module")).or(text("id")), text("group"), text("name")) {
                (Some(name), ..) => name.to_owned(),
                (None, Some(group), Some(name)) => format!("{group}:{name}"),
                _ => continue,
            };
            draft.depends_on(FRAMEWORKS, [name.as_str()]);
        }
    }
}

/// Lines that are no comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with('*')).take(5_000)
}

/// What stands in quotes on a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split(['"', '\'']).skip(1).step_by(2).filter(|word| !word.is_empty() && word.len() <= 200).take(50)
}

fn is_version(text: &str) -> bool {
    (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}
