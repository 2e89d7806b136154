//! NuGet and MSBuild: C#, F# and Visual Basic.

use super::{
    draft::{Draft, Source, string},
    project::{File, Project, file_name, outermost, within},
};

const FRAMEWORKS: &[(&str, &str)] = &[
    ("Microsoft.NET.Sdk.Web", "ASP.NET Core"),
    ("Microsoft.AspNetCore.App", "ASP.NET Core"),
    ("Microsoft.AspNetCore.Components*", "Blazor"),
    ("Microsoft.NET.Sdk.BlazorWebAssembly", "Blazor"),
    ("Microsoft.NET.Sdk.Worker", "Worker Service"),
    ("Microsoft.EntityFrameworkCore*", "Entity Framework Core"),
    ("Npgsql.EntityFrameworkCore*", "Entity Framework Core"),
    ("Dapper", "Dapper"),
    ("MediatR", "MediatR"),
    ("AutoMapper*", "AutoMapper"),
    ("FluentValidation*", "FluentValidation"),
    ("Serilog*", "Serilog"),
    ("xunit*", "xUnit"),
    ("NUnit*", "NUnit"),
    ("MSTest*", "MSTest"),
    ("Moq", "Moq"),
    ("NSubstitute", "NSubstitute"),
    ("FluentAssertions", "FluentAssertions"),
    ("Grpc.AspNetCore", "gRPC"),
    ("MassTransit*", "MassTransit"),
    ("Hangfire*", "Hangfire"),
    ("Microsoft.Maui*", ".NET MAUI"),
    ("Avalonia*", "Avalonia"),
    ("Giraffe", "Giraffe"),
    ("Aspire.*", ".NET Aspire"),
];

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    let is_project = |name: &str| [".csproj", ".fsproj", ".vbproj"].iter().any(|end| name.ends_with(end));
    let projects = project.files(is_project);
    for file in &projects {
        let stem = file_name(file.path).rsplit_once('.').map(|(stem, _)| stem);
        draft.package(file.folder, stem, "nuget");
        properties(draft, file);
    }
    for file in project.files(|name| matches!(name, "Directory.Build.props" | "Directory.Packages.props")) {
        properties(draft, &file);
    }
    for file in project.named("global.json") {
        if let Some(version) = draft.json(&file).as_ref().and_then(|read| string(read, &["sdk", "version"])) {
            draft.conventions.add(format!(".NET SDK {version}"));
        }
    }
    if projects.is_empty() {
        return;
    }
    draft.managers.add("nuget");
    for path in project.paths().filter(|path| matches!(file_name(path), "Program.cs" | "Program.fs" | "Program.vb")) {
        draft.entries.add(path);
    }
    let solutions = project.files(|name| name.ends_with(".sln") || name.ends_with(".slnx"));
    for file in outermost(if solutions.is_empty() { &projects } else { &solutions }) {
        for command in ["dotnet build", "dotnet test"] {
            draft.command(Source::Usual, &within(file.folder, command));
        }
    }
}

fn properties(draft: &mut Draft, file: &File<'_>) {
    let Some(document) = draft.xml(file) else { return };
    let root = document.root_element();
    draft.depends_on(FRAMEWORKS, root.attribute("Sdk"));
    for node in root.descendants().filter(roxmltree::Node::is_element) {
        let text = node.text().unwrap_or_default().trim();
        let is_on = text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("enable");
        match node.tag_name().name() {
            "PackageReference" | "PackageVersion" | "FrameworkReference" | "GlobalPackageReference" => {
                draft.depends_on(FRAMEWORKS, node.attribute("Include"));
            }
            "TargetFramework" => draft.conventions.add(format!("target framework {text}")),
            "TargetFrameworks" => {
                for target in text.split(';').filter(|target| !target.is_empty()).take(10) {
                    draft.conventions.add(format!("target framework {target}"));
                }
            }
            "Nullable" if is_on => draft.conventions.add("nullable reference types"),
            "ImplicitUsings" if is_on => draft.conventions.add("implicit usings"),
            "TreatWarningsAsErrors" if is_on => draft.conventions.add("warnings are errors"),
            _ => {}
        }
    }
}
