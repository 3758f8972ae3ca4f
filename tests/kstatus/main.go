// Command kstatus gives the verdict of the real kstatus library, the one that Flux, kpt and
// cli-utils wait by, on Kubernetes objects: one JSON object a line on standard input, one
// {"status": ..., "message": ...} a line on standard output. Tests judge our status with it.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func judge(line []byte) (verdict, error) {
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON(line); err != nil {
		return verdict{}, fmt.Errorf("not a Kubernetes object: %w", err)
	}
	result, err := status.Compute(&object)
	if err != nil {
		return verdict{}, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return verdict{Status: result.Status.String(), Message: result.Message}, nil
}

func run(input io.Reader, output io.Writer) error {
	lines := bufio.NewReader(input)
	answers := json.NewEncoder(output)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			answer, err := judge(line)
			if err != nil {
				return err
			}
			if err := answers.Encode(answer); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
