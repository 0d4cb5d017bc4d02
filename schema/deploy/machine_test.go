package deploy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"fnb/schema"
	"fnb/schema/deploy"
)

// machine writes a function for a platform of virtual machines.
func machine(t *testing.T, name string, m deploy.Machine, f deploy.Function) (text, notes string) {
	t.Helper()
	p, ok := deploy.Find(deploy.Machines(m), name)
	if !ok {
		t.Fatal(name)
	}
	raw, all := write(t, p, f)
	return string(raw), strings.Join(all, "\n")
}

// What is written has the members that Firecracker's API requires, as its firecracker.yaml names them.
func TestFirecracker(t *testing.T) {
	t.Parallel()
	var doc struct {
		Source map[string]string `json:"boot-source"`
		Drives []struct {
			ID   string `json:"drive_id"`
			Path string `json:"path_on_host"`
			Root bool   `json:"is_root_device"`
			RO   bool   `json:"is_read_only"`
		} `json:"drives"`
		Nets []map[string]string `json:"network-interfaces"`
		Conf map[string]int      `json:"machine-config"`
	}
	f := full()
	f.Environment["GREETING"] = `it's "50%" of Ä`
	text, notes := machine(t, "firecracker", deploy.Machine{}, f)
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	want := "console=ttyS0 reboot=k panic=1 init=/.fnb/init ip=172.16.0.2::172.16.0.1:255.255.255.252:resize-images:eth0:off"
	args := doc.Source["boot_args"]
	for _, word := range []string{want, " fnb.env.fprocess=node%20index.js", " fnb.env.exec_timeout=2m", " fnb.env.healthcheck_interval=0", " fnb.env.GREETING=it%27s%20%2250%25%22%20of%20%C3%84"} {
		if !strings.Contains(args, word) {
			t.Errorf("%q is not in %q", word, args)
		}
	}
	if d := doc.Drives; len(d) != 1 || d[0].ID == "" || d[0].Path != "resize-images.ext4" || !d[0].Root || !d[0].RO {
		t.Errorf("%+v", d)
	}
	if doc.Source["kernel_image_path"] == "" || len(doc.Nets) != 1 || doc.Nets[0]["iface_id"] != "eth0" || doc.Conf["vcpu_count"] != 1 || doc.Conf["mem_size_mib"] != 512 {
		t.Errorf("%s", text)
	}
	for _, key := range []string{"secrets", "labels", "annotations", "constraints", "namespace"} {
		if !strings.Contains(notes, key+": Firecracker has nothing of the kind") {
			t.Errorf("no note of %s: %s", key, notes)
		}
	}
	firecracker, _ := deploy.Find(deploy.Machines(deploy.Machine{}), "firecracker")
	if _, err := firecracker.Write(deploy.Function{Name: "hello", Limits: &schema.Resources{CPU: "33"}}); err == nil || !strings.Contains(err.Error(), "at most 32 CPUs, not 33") {
		t.Errorf("33 CPUs: %v", err)
	}
	if _, notes := machine(t, "firecracker", deploy.Machine{}, deploy.Function{Name: "hello", Secrets: []string{"Two"}}); notes != "secrets: Firecracker has nothing of the kind" {
		t.Errorf("a secret whose name it never sees: %q", notes)
	}
	if _, notes := machine(t, "firecracker", deploy.Machine{}, deploy.Function{Name: "hello"}); notes != "" {
		t.Error(notes)
	}
}

func TestQEMU(t *testing.T) {
	t.Parallel()
	text, _ := machine(t, "qemu", deploy.Machine{}, deploy.Function{Name: "hello", Port: 5000, Environment: map[string]string{"A": "it's"}, Limits: &schema.Resources{CPU: "1500m"}})
	for _, part := range []string{"qemu-system-x86_64 ", " -smp 2 -m 256 ", "ip=::::hello::dhcp", "fnb.env.A=it%27s", "file=hello.ext4", "hostfwd=tcp:127.0.0.1:8080-:5000", " rw "} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %s", part, text)
		}
	}
	text, _ = machine(t, "qemu", deploy.Machine{}, deploy.Function{Name: "hello", ReadOnlyRoot: true})
	if !strings.Contains(text, " ro ") {
		t.Error(text)
	}
}

// An overlay leaves the disk as it is, and a vsock stands in the place of a network.
func TestMachineOptions(t *testing.T) {
	t.Parallel()
	m := deploy.Machine{Overlay: true, VSock: true}
	for name, want := range map[string]string{
		"firecracker": `"is_read_only": true|"guest_cid": 3|"uds_path": "hello.vsock"| init=/.fnb/init fnb.vsock=8080 fnb.overlay`,
		"qemu":        `root=/dev/vda ro |file=hello.ext4,readonly=on| init=/.fnb/init fnb.vsock=8080 fnb.overlay|-device vhost-vsock-pci,guest-cid=3`,
	} {
		text, _ := machine(t, name, m, deploy.Function{Name: "hello"})
		for part := range strings.SplitSeq(want, "|") {
			if !strings.Contains(text, part) {
				t.Errorf("%s: %q is not in %s", name, part, text)
			}
		}
		for _, part := range []string{" ip=", "tap0", "-nic", "hostfwd"} {
			if strings.Contains(text, part) {
				t.Errorf("%s: %q is in %s", name, part, text)
			}
		}
	}
}

func TestMachineRefused(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]deploy.Function{
		`the name "Hello World"`:            {Name: "Hello World"},
		"the kernel's command line would":   {Name: "hello", Environment: map[string]string{"A": strings.Repeat("x", 2100)}},
		"is not the name of an environment": {Name: "hello", Environment: map[string]string{"A b": "x"}},
		`memory "lots" is not`:              {Name: "hello", Limits: &schema.Resources{Memory: "lots"}},
	} {
		for _, p := range deploy.Machines(deploy.Machine{}) {
			if _, err := p.Write(f); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, not %q", p.Name, err, want)
			}
		}
	}
	for _, p := range deploy.Machines(deploy.Machine{Overlay: true}) {
		if _, err := p.Write(deploy.Function{Name: "hello", ReadOnlyRoot: true}); err == nil || !strings.Contains(err.Error(), "with an overlay the function") {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}
