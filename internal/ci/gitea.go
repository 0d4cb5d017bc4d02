package ci

// gitea is Gitea Actions, which reads GitHub's workflows and writes its log.
func gitea() System {
	return System{
		Name: "gitea", File: ".gitea/workflows/functions.yml", UpdatesFile: ".gitea/workflows/function-updates.yml", NoMatrix: noDynamicMatrix,
		pipeline: "github", runner: "ubuntu-latest", actions: "https://gitea.com/", variable: "${{ vars.%s }}",
		login:    workflowSecrets,
		checkout: inJob("GITEA_ACTIONS", "GITHUB_WORKSPACE"),
		show:     githubLog{},
	}
}
