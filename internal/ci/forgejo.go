package ci

// noDynamicMatrix is why Forgejo's and Gitea's pipelines have no job for each function.
const noDynamicMatrix = "the matrix of a job must be in the file there, and cannot be the functions that changed; one job builds several functions at a time"

// forgejo is Forgejo Actions, which reads GitHub's workflows and writes its log. The token of a
// job cannot push packages, so that every registry has secrets of its own.
func forgejo() System {
	return System{
		Name: "forgejo", File: ".forgejo/workflows/functions.yml", UpdatesFile: ".forgejo/workflows/function-updates.yml", NoMatrix: noDynamicMatrix,
		pipeline: "github", runner: "docker", actions: "https://code.forgejo.org/", variable: "${{ vars.%s }}",
		login:    workflowSecrets,
		checkout: inJob("FORGEJO_ACTIONS", "GITHUB_WORKSPACE"),
		show:     githubLog{},
	}
}
