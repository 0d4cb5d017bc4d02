package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"fnb/internal/servers"
	"fnb/internal/servers/checkers"
	"fnb/internal/servers/layertar"
)

const (
	node       = "node-1"
	address    = "192.0.2.10" // of the node; nobody has it, it is for documents
	apiserver  = "127.0.0.1:6443"
	ownAddress = "127.0.0.1:6444" // of the server of [Cluster.OwnServer]
	pods       = "10.88.0.0/16"
	services   = "10.96.0.0/16"
)

// programs is the folder of the cluster's programs, if all that they need is there, too.
func programs() (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("namespaces and containers need root")
	}
	return checkers.Kubernetes()
}

// pushPause pushes the image that holds a pod's namespaces.
func (c *Cluster) pushPause(ctx context.Context) error {
	bin, err := servers.Tool(ctx, "pause")
	if err != nil {
		return err
	}
	return c.pushProgram(ctx, c.pauseImage(), bin, "/pause")
}

// PushQueueProxy pushes the image of what Knative has in front of a function, and returns its reference.
func (c *Cluster) PushQueueProxy(ctx context.Context) (string, error) {
	ref := c.Registry.Host + "/queue:1"
	return ref, c.pushProgram(ctx, ref, filepath.Join(c.Bin, "queue"), "/ko-app/queue")
}

// pushProgram pushes an image of one program, which stands at a place in it and runs as nobody.
func (c *Cluster) pushProgram(ctx context.Context, image, bin, place string) error {
	program, err := os.ReadFile(bin)
	if err != nil {
		return err
	}
	file := filepath.Join(c.dir, filepath.Base(bin)+".tar.gz")
	if err := layertar.WriteFile(file, func(w *layertar.Writer) error { return w.File(place[1:], 0o755, program) }); err != nil {
		return err
	}
	layer, err := tarball.LayerFromFile(file)
	if err != nil {
		return err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	if img, err = mutate.Config(img, v1.Config{Entrypoint: []string{place}, User: "65535"}); err != nil {
		return err
	}
	ref, err := name.ParseReference(image)
	if err != nil {
		return err
	}
	return remote.Write(ref, img, remote.WithContext(ctx))
}

func (c *Cluster) pauseImage() string { return c.Registry.Host + "/pause:1" }

// writeFiles writes what the programs read. From outside, the API's server is at another address.
func (c *Cluster) writeFiles(outside string) error {
	for _, dir := range []string{"sys", "run", "log", "cni", "pods"} {
		if err := os.MkdirAll(filepath.Join(c.dir, dir), 0o755); err != nil { //nolint:gosec // pods' users read below it
			return err
		}
	}
	certs, err := servers.MakeCerts(c.dir)
	if err != nil {
		return err
	}
	token := rand.Text()
	files := map[string]string{
		"room.sh": string(room), "address": address,
		"tokens":              token + `,admin,admin,"system:masters"` + "\n",
		"kubeconfig":          kubeconfig(certs.CA, "https://"+outside, token),
		"inside":              kubeconfig(certs.CA, "https://"+apiserver, token),
		"resolv.conf":         "",
		"cni/10-pods.conf":    object{"cniVersion": "0.4.0", "name": "pods", "type": "bridge", "bridge": "pods", "isDefaultGateway": true, "ipam": object{"type": "host-local", "dataDir": c.dir + "/leases", "subnet": pods}}.String(),
		"kubelet.yaml":        c.kubelet().String(),
		"containerd.toml":     c.containerd(),
		"proxy.yaml":          c.proxy().String(),
		"service-account.key": "",
	}
	if files["service-account.key"], err = newKey(); err != nil {
		return err
	}
	for program, args := range c.commands(certs) {
		name, _, _ := strings.Cut(program, "-own")
		files["run/"+program] = "exec " + name + " '" + strings.Join(args, "' '") + "'\n"
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// An object is a file in JSON, which readers of YAML read as well.
type object map[string]any

func (o object) String() string {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err) // texts, numbers and lists of them
	}
	return string(text)
}

func newKey() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalECPrivateKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})), err
}

// kubeconfig leads to a server as a token's owner.
func kubeconfig(ca, server, token string) string {
	return object{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []object{{"name": "test", "cluster": object{"server": server, "certificate-authority": ca}}},
		"users":    []object{{"name": "admin", "user": object{"token": token}}},
		"contexts": []object{{"name": "test", "context": object{"cluster": "test", "user": "admin"}}},
	}.String()
}

// commands are the programs with their arguments.
func (c *Cluster) commands(certs *servers.Certs) map[string][]string {
	file := func(name string) string { return filepath.Join(c.dir, name) }
	key, inside := file("service-account.key"), file("inside")
	return map[string][]string{
		"etcd": {
			"--data-dir=" + file("etcd"), "--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--unsafe-no-fsync",
		},
		"kube-apiserver": c.server(certs, apiserver),
		ownServer:        c.server(certs, ownAddress),
		"kube-controller-manager": {
			"--kubeconfig=" + inside, "--controllers=*,-nodelifecycle", "--leader-elect=false", "--use-service-account-credentials=false",
			"--service-account-private-key-file=" + key, "--root-ca-file=" + certs.CA, "--bind-address=127.0.0.1",
			"--horizontal-pod-autoscaler-sync-period=5s",
		},
		"kube-scheduler": {"--kubeconfig=" + inside, "--leader-elect=false", "--bind-address=127.0.0.1"},
		"kube-proxy":     {"--config=" + file("proxy.yaml")},
		"containerd":     {"--config=" + file("containerd.toml")},
		"kubelet": {
			"--config=" + file("kubelet.yaml"), "--kubeconfig=" + inside, "--hostname-override=" + node, "--node-ip=" + address,
			"--root-dir=" + file("kubelet"), "--cert-dir=" + file("kubelet-certs"),
		},
	}
}

// server are the arguments of one of the API's servers, at an address of the node's.
func (c *Cluster) server(certs *servers.Certs, at string) []string {
	_, port, _ := strings.Cut(at, ":")
	key := filepath.Join(c.dir, "service-account.key")
	return []string{
		"--etcd-servers=http://127.0.0.1:2379", "--bind-address=127.0.0.1", "--secure-port=" + port, "--advertise-address=" + address,
		"--tls-cert-file=" + certs.ServerCert, "--tls-private-key-file=" + certs.ServerKey,
		"--service-cluster-ip-range=" + services, "--authorization-mode=RBAC", "--token-auth-file=" + filepath.Join(c.dir, "tokens"),
		"--service-account-issuer=https://test", "--service-account-key-file=" + key, "--service-account-signing-key-file=" + key,
		"--endpoint-reconciler-type=none",              // the server's own address leads nowhere
		"--kubelet-preferred-address-types=InternalIP", // nobody knows the node's name
		"--allow-privileged=true",                      // BuildKit in a pod
		"--shutdown-delay-duration=0s",
	}
}

func (c *Cluster) kubelet() object {
	return object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		// The node's network is its own: whoever is there may.
		"authentication":           object{"anonymous": object{"enabled": true}, "webhook": object{"enabled": false}},
		"authorization":            object{"mode": "AlwaysAllow"},
		"containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
		"cgroupDriver":             "cgroupfs", "cgroupRoot": "/" + c.group, "cgroupsPerQOS": false, "enforceNodeAllocatable": []string{"none"},
		"failCgroupV1": false, "failSwapOn": false,
		"oomScoreAdj":                   0, // another needs a capability
		"makeIPTablesUtilChains":        false,
		"localStorageCapacityIsolation": false,
		"evictionHard":                  object{"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
		"imageGCHighThresholdPercent":   100, "imageGCLowThresholdPercent": 99,
		"podLogsDir": filepath.Join(c.dir, "pods"), "resolvConf": filepath.Join(c.dir, "resolv.conf"),
		"registryPullQPS": 0, "serializeImagePulls": false, "nodeStatusUpdateFrequency": "2s",
		"syncFrequency": "5s", "maxPods": 50,
	}
}

func (c *Cluster) proxy() object {
	return object{
		"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
		"clientConnection": object{"kubeconfig": filepath.Join(c.dir, "inside")}, "hostnameOverride": node,
		"mode": "nftables", "nftables": object{"masqueradeAll": true}, "clusterCIDR": pods,
		"conntrack":   object{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}, // the machine's stay
		"bindAddress": address, "healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
	}
}

func (c *Cluster) containerd() string {
	return fmt.Sprintf(`version = 2
root = %q
state = "/run/containerd"
[grpc]
address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %q
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = %q
conf_dir = %q
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
`, filepath.Join(c.dir, "containerd"), c.pauseImage(), filepath.Join(filepath.Dir(c.Bin), "cni"), filepath.Join(c.dir, "cni"))
}
