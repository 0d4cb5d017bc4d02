package words

// How a Dockerfile is told what its steps install packages from.
const (
	// PackagesFolder is where a build context has it, and nothing else, if a package list
	// of the template says which files these are.
	PackagesFolder = "packages"

	PackageManagerArg  = "PACKAGE_MANAGER"  // the build arg with the package manager's name
	WorkspaceMemberArg = "WORKSPACE_MEMBER" // the build arg with the handler's folder in its workspace
	// LifecycleScriptsArg is the build arg that is "none" if the handler's package.json has no
	// script that has to run where its packages are installed.
	LifecycleScriptsArg = "LIFECYCLE_SCRIPTS"

	// LockStage is the stage of a Dockerfile that makes locks. What it leaves at its root under
	// a lock's name is the lock.
	LockStage = "lock"

	// DebugStage is the stage of a Dockerfile that an image with a debugger is made of.
	DebugStage = "debug"
)
