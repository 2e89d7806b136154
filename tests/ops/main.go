// Reads compose.yaml as Docker Compose does, with its own library: alone, and with the overlay for TLS. Says what is wrong
// with either, as a file and as what an operator would not want to run.
//
//	go run .        (in tests/ops)
package main

import (
	"context"
	"fmt"
	"os"
	"regexp"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../../"

// pinned is an image with a version of at least two numbers.
var pinned = regexp.MustCompile(`:v?\d+\.\d+`)

func load(ctx context.Context, settings types.Mapping, files ...string) (*types.Project, error) {
	options, err := cli.NewProjectOptions(files, cli.WithWorkingDirectory(root))
	if err != nil {
		return nil, err
	}
	options.Environment = settings
	return options.LoadProject(ctx)
}

// problems are what an operator would find out too late.
func problems(project *types.Project) (found []string) {
	for name, service := range project.Services {
		wrong := func(text string, more ...any) {
			found = append(found, name+": "+fmt.Sprintf(text, more...))
		}
		if !pinned.MatchString(service.Image) {
			wrong("its image %q has no version", service.Image)
		}
		if service.Deploy == nil || service.Deploy.Resources.Limits == nil || service.Deploy.Resources.Limits.MemoryBytes == 0 {
			wrong("it may use all memory")
		}
		if service.Restart == "" {
			wrong("it is not started again")
		}
		for variable, value := range service.Environment {
			if value != nil && regexp.MustCompile(`(?i)(PASSWORD|SECRET|TOKEN|PAT|KEY)$`).MatchString(variable) {
				wrong("%s is written down instead of read from a file", variable)
			}
		}
	}
	return found
}

func ports(project *types.Project, service string) (found []string) {
	for _, port := range project.Services[service].Ports {
		found = append(found, port.HostIP+":"+port.Published)
	}
	return found
}

func main() {
	ctx := context.Background()
	settings, err := dotenv.Read(root + "ops/example.env")
	settings["GITHUB_CLIENT_ID"] = "an id"
	check := func(what string, wrong ...string) {
		if err != nil || len(wrong) > 0 {
			fmt.Println("wrong", what, err, wrong)
			os.Exit(1)
		}
		fmt.Println("ok  ", what)
	}
	check("ops/example.env")

	var plain, proxied *types.Project
	plain, err = load(ctx, settings, root+"compose.yaml")
	check("compose.yaml")
	check("compose.yaml: versions, limits, secrets", problems(plain)...)
	if found := ports(plain, "nectr"); len(found) != 1 || found[0] != "127.0.0.1:8000" {
		check("compose.yaml: nectr's port is this machine's only", found...)
	}
	for _, database := range []string{"postgres", "neo4j"} {
		check(database+" has no port outside", ports(plain, database)...)
	}
	for name, service := range plain.Services {
		if service.HealthCheck == nil {
			check(name+" has a health check", "none")
		}
	}
	proxied, err = load(ctx, settings, root+"compose.yaml", root+"ops/compose.tls.yaml")
	check("ops/compose.tls.yaml")
	check("ops/compose.tls.yaml: versions, limits, secrets", problems(proxied)...)
	check("ops/compose.tls.yaml: nectr is behind the proxy only", ports(proxied, "nectr")...)
	if subnet := proxied.Networks["proxied"].Ipam.Config[0].Subnet; subnet != *proxied.Services["nectr"].Environment["TRUSTED_PROXIES"] {
		check("ops/compose.tls.yaml: the proxy's network is trusted", subnet)
	}

	// Nothing that must be said has a default that would hide its absence.
	delete(settings, "BACKEND_URL")
	if _, err = load(ctx, settings, root+"compose.yaml"); err == nil {
		check("compose.yaml asks for BACKEND_URL", "it does not")
	}
}
