package ci

// tekton is Tekton. Its task runs in a cluster, and shows nothing but its log.
func tekton() System {
	return System{
		Name: "tekton", File: ".tekton/functions.yml",
		NoMatrix:  "a Tekton task builds several functions at a time; give each task its functions in the pipeline instead",
		NoUpdates: "Tekton keeps no repository in which a change could be proposed; a task of yours can run fnb update --describe",
		login: func(host, name string) Login {
			if host == gitlabRegistry {
				return Login{host, "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"}
			}
			return secretsOf(host, name)
		},
	}
}
