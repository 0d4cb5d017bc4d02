package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/pflag"

	"fnb/builder/authority"
	"fnb/schema/settings"
)

const authorityFlag = "build-ca"

// addAuthorityFlag adds the flag that has RUN steps trust a company.
func addAuthorityFlag(f *pflag.FlagSet, dst *[]string) {
	f.StringArrayVar(dst, authorityFlag, nil, "let RUN steps trust the certificates in the PEM file `FILE`, beside builder.ca of the settings (repeatable)")
}

// authorities are the certificates that RUN steps trust by the settings. A relative path
// is below the folder of the settings.
func authorities(cfg settings.Settings) ([]byte, error) {
	var all []byte
	for _, file := range cfg.Builder.CA {
		if !filepath.IsAbs(file) {
			of, err := configFile()
			if err != nil {
				return nil, err
			}
			file = filepath.Join(filepath.Dir(of), file)
		}
		data, err := authority.Read(file)
		if err != nil {
			return nil, fmt.Errorf("builder.ca in fnb's settings: %w", err)
		}
		all = append(all, data...)
	}
	return all, nil
}
