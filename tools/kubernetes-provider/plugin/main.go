// The Kubernetes provider of Pulumi. The upstream main package embeds generated files that its module lacks, hence this one.
package main

import (
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

var version = "4.25.0"

func main() {
	// Only stored and given back: programs in Python do not need the schema.
	provider.Serve("kubernetes", version, []byte(`{"name":"kubernetes","version":"`+version+`"}`), []byte("{}"))
}
