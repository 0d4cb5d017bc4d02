package fleet_test

import (
	"os"
	"testing"

	"fnb/builder/buildertest"
)

func TestMain(m *testing.M) { os.Exit(buildertest.Main(m, os.Stdout, os.Stderr)) }
