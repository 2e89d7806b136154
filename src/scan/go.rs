//! Go modules and workspaces.

use super::{
    draft::{Draft, Source},
    project::{Project, file_name, folder, outermost, upward, within},
};

const FRAMEWORKS: &[(&str, &str)] = &[
    ("github.com/gin-gonic/gin", "Gin"),
    ("github.com/labstack/echo*", "Echo"),
    ("github.com/gofiber/fiber*", "Fiber"),
    ("github.com/go-chi/chi*", "Chi"),
    ("github.com/gorilla/mux", "Gorilla Mux"),
    ("github.com/spf13/cobra", "Cobra"),
    ("github.com/spf13/viper", "Viper"),
    ("github.com/urfave/cli*", "urfave/cli"),
    ("gorm.io/gorm", "GORM"),
    ("entgo.io/ent", "Ent"),
    ("github.com/jmoiron/sqlx", "sqlx"),
    ("github.com/jackc/pgx*", "pgx"),
    ("google.golang.org/grpc", "gRPC"),
    ("connectrpc.com/connect", "Connect"),
    ("github.com/99designs/gqlgen", "gqlgen"),
    ("github.com/stretchr/testify", "Testify"),
    ("github.com/onsi/ginkgo*", "Ginkgo"),
    ("k8s.io/client-go", "Kubernetes client"),
    ("sigs.k8s.io/controller-runtime", "controller-runtime"),
    ("go.uber.org/fx", "Fx"),
    ("go.uber.org/zap", "zap"),
    ("github.com/charmbracelet/bubbletea", "Bubble Tea"),
    ("github.com/prometheus/client_golang", "Prometheus"),
    ("go.temporal.io/sdk", "Temporal"),
];

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    let modules = project.named("go.mod");
    for file in &modules {
        draft.managers.add("go modules");
        let mut name = None;
        let mut requiring = false;
        for line in file.text.lines().take(5_000) {
            let line = line.split("//").next().unwrap_or_default();
            let words: Vec<_> = line.split_whitespace().take(3).collect();
            match words.as_slice() {
                ["module", module] => name = Some(module.trim_matches('"')),
                ["go", version] => draft.conventions.add(format!("Go {version}")),
                ["require", "("] => requiring = true,
                [")"] => requiring = false,
                ["require", module, _] => draft.depends_on(FRAMEWORKS, [*module]),
                [module, _, ..] if requiring => draft.depends_on(FRAMEWORKS, [*module]),
                _ => {}
            }
        }
        draft.package(file.folder, name, "go");
    }
    let is_module = |path: &str| upward(folder(path)).any(|folder| project.has_in(folder, "go.mod"));
    for path in project.paths().filter(|path| file_name(path) == "main.go" && is_module(path)) {
        // `main.go`, `cmd/x/main.go`, `service/main.go`; deeper ones are tools.
        let segments: Vec<_> = path.split('/').collect();
        if segments.len() <= 2 || segments[segments.len() - 3] == "cmd" || segments[segments.len() - 2] == "cmd" {
            draft.entries.add(path);
        }
    }
    for file in outermost(&modules) {
        let linted = project.files(|name| name.starts_with(".golangci.")).iter().any(|file| file.folder.is_empty());
        let lint = if linted { "golangci-lint run" } else { "go vet ./..." };
        for command in ["go build ./...", "go test ./...", lint] {
            draft.command(Source::Usual, &within(file.folder, command));
        }
    }
}
