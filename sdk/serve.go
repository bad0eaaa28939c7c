package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// Serve is the whole main function of a plugin. It speaks to the host that started the process until the host says
// goodbye or is gone, and then ends the process. It refuses to run without mutual TLS.
func Serve(p Plugin) {
	os.Exit(serve(p))
}

func serve(p Plugin) int {
	if err := p.check(); err != nil {
		return refuse("this plugin is built wrongly: %v", err)
	}
	if os.Getenv(handshake.CookieKey) != handshake.CookieValue {
		return refuse("%s %s is a %s plugin of Decision Gate Host and is started by it: name this program as \"command\" of a plugin block in the host's configuration",
			p.Name, p.Version, kindNames[p.kind()])
	}
	// Without this, go-plugin would serve plaintext to any process that can open the socket.
	if os.Getenv(handshake.ClientCertEnv) == "" {
		return refuse("%s is not set: there is no plaintext mode, the host must start the plugin with mutual TLS", handshake.ClientCertEnv)
	}
	if err := dieWithHost(); err != nil {
		return refuse("%v", err)
	}
	// A terminal's interrupt reaches the host too, which ends its plugins in order. go-plugin ignores it only some time
	// after it has said that it is ready.
	signal.Ignore(os.Interrupt)
	slog.SetDefault(Logger().With("@module", p.Name))

	adapter := &adapter{life: &life{plugin: p, door: newDoor()}}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: handshake.Version, MagicCookieKey: handshake.CookieKey, MagicCookieValue: handshake.CookieValue,
		},
		Plugins:    goplugin.PluginSet{p.Name: adapter},
		GRPCServer: adapter.server,
		// go-plugin's own lines are about its wiring; what matters of them is at Warn.
		Logger: hclog.New(&hclog.LoggerOptions{Name: p.Name, Level: hclog.Warn, Output: stderr, JSONFormat: true}),
	})
	if err := adapter.life.close(); err != nil {
		Logger().Error("closing the backend failed", "error", err.Error())
		return 1
	}
	return 0
}

var kindNames = map[pb.Kind]string{pb.Kind_KIND_STORE: "store", pb.Kind_KIND_RUNPACK: "runpack", pb.Kind_KIND_EVIDENCE: "evidence", pb.Kind_KIND_AUTH: "auth"}

func refuse(format string, args ...any) int {
	fmt.Fprintf(stderr, format+"\n", args...)
	return 1
}

// adapter is what go-plugin calls to make the server and to register services on it.
type adapter struct {
	goplugin.NetRPCUnsupportedPlugin
	life *life
}

func (a *adapter) server(options []grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(append(options,
		grpc.MaxRecvMsgSize(handshake.MaxMessage),
		grpc.MaxSendMsgSize(handshake.MaxMessage),
		grpc.StaticStreamWindowSize(handshake.StreamWindow),
		grpc.StaticConnWindowSize(handshake.ConnWindow),
		grpc.ChainUnaryInterceptor(a.life.door.unary),
		grpc.ChainStreamInterceptor(a.life.door.stream),
	)...)
	a.life.stop = server.Stop
	return server
}

func (a *adapter) GRPCServer(_ *goplugin.GRPCBroker, server *grpc.Server) error {
	a.life.register(server)
	return nil
}

// GRPCClient completes go-plugin's interface; hosts do not come through it.
func (a *adapter) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin serves, it does not call")
}

// dieWithHost ends the process when the control descriptor reads end of file: the kernel closes the host's end however
// the host dies, so no plugin stays behind and holds its database.
func dieWithHost() error {
	number := os.Getenv(handshake.ControlEnv)
	if number == "" {
		return nil
	}
	fd, err := strconv.ParseUint(number, 10, 16)
	if err != nil || fd < 3 {
		return fmt.Errorf("%s is %q: want the number of an inherited descriptor", handshake.ControlEnv, number)
	}
	control := os.NewFile(uintptr(fd), "control")
	if control == nil {
		return fmt.Errorf("%s is %q: there is no such descriptor", handshake.ControlEnv, number)
	}
	go func() {
		_, _ = io.Copy(io.Discard, control)
		os.Exit(1)
	}()
	return nil
}
