// Asks a server how it is and what its model "simple" takes, and adds and subtracts with it.
//
// docs/generated_apis.md tells how to generate the package that it imports, and how to run it.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"

	"tritonexample/inference"
)

const (
	model   = "simple"
	timeout = 10 * time.Second
)

func main() {
	log.SetFlags(0)
	url := "localhost:8001"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	if err := run(url); err != nil {
		log.Fatal(err)
	}
}

func run(url string) error {
	// These two are in all versions 1.x of grpc. Programs that need no old ones use NewClient and
	// insecure.NewCredentials.
	connection, err := grpc.Dial(url, grpc.WithInsecure())
	if err != nil {
		return err
	}
	defer connection.Close()
	client := inference.NewGRPCInferenceServiceClient(connection)

	// One deadline for all calls.
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := showHealth(ctx, client); err != nil {
		return err
	}
	if err := showMetadata(ctx, client); err != nil {
		return err
	}
	return addAndSubtract(ctx, client)
}

func showHealth(ctx context.Context, client inference.GRPCInferenceServiceClient) error {
	live, err := client.ServerLive(ctx, &inference.ServerLiveRequest{})
	if err != nil {
		return err
	}
	fmt.Println("server is live:", live.Live)
	ready, err := client.ServerReady(ctx, &inference.ServerReadyRequest{})
	if err != nil {
		return err
	}
	fmt.Println("server is ready:", ready.Ready)
	modelReady, err := client.ModelReady(ctx, &inference.ModelReadyRequest{Name: model})
	if err != nil {
		return err
	}
	fmt.Printf("model %s is ready: %v\n", model, modelReady.Ready)
	return nil
}

func showMetadata(ctx context.Context, client inference.GRPCInferenceServiceClient) error {
	metadata, err := client.ModelMetadata(ctx, &inference.ModelMetadataRequest{Name: model})
	if err != nil {
		return err
	}
	for _, tensor := range metadata.Inputs {
		fmt.Println("input:", tensor.Name, tensor.Datatype, shapeText(tensor.Shape))
	}
	for _, tensor := range metadata.Outputs {
		fmt.Println("output:", tensor.Name, tensor.Datatype, shapeText(tensor.Shape))
	}
	return nil
}

func shapeText(shape []int64) string {
	return strings.ReplaceAll(fmt.Sprint(shape), " ", ", ")
}

func addAndSubtract(ctx context.Context, client inference.GRPCInferenceServiceClient) error {
	first, second := make([]int32, 16), make([]int32, 16)
	for i := range first {
		first[i], second[i] = int32(i), 1
	}
	input := func(name string) *inference.ModelInferRequest_InferInputTensor {
		return &inference.ModelInferRequest_InferInputTensor{
			Name: name, Datatype: "INT32", Shape: []int64{1, 16},
		}
	}
	output := func(name string) *inference.ModelInferRequest_InferRequestedOutputTensor {
		return &inference.ModelInferRequest_InferRequestedOutputTensor{Name: name}
	}
	response, err := client.ModelInfer(ctx, &inference.ModelInferRequest{
		ModelName: model,
		Inputs: []*inference.ModelInferRequest_InferInputTensor{
			input("INPUT0"), input("INPUT1"),
		},
		Outputs: []*inference.ModelInferRequest_InferRequestedOutputTensor{
			output("OUTPUT0"), output("OUTPUT1"),
		},
		RawInputContents: [][]byte{toBytes(first), toBytes(second)},
	})
	if err != nil {
		return err
	}
	sums, err := int32Output(response, "OUTPUT0")
	if err != nil {
		return err
	}
	differences, err := int32Output(response, "OUTPUT1")
	if err != nil {
		return err
	}
	if len(sums) != len(first) || len(differences) != len(first) {
		return fmt.Errorf("%d sums and %d differences, expected 16", len(sums), len(differences))
	}
	for i, a := range first {
		b := second[i]
		fmt.Printf("%d + %d = %d\n%d - %d = %d\n", a, b, sums[i], a, b, differences[i])
		if sums[i] != a+b || differences[i] != a-b {
			return fmt.Errorf("wrong at index %d", i)
		}
	}
	return nil
}

// The wire has elements in little-endian and row-major order, with nothing in between.
func toBytes(values []int32) []byte {
	data := make([]byte, 4*len(values))
	for i, value := range values {
		binary.LittleEndian.PutUint32(data[4*i:], uint32(value))
	}
	return data
}

// An output by name; raw contents come in the order of the response's outputs.
func int32Output(response *inference.ModelInferResponse, name string) ([]int32, error) {
	for i, output := range response.Outputs {
		if output.Name != name {
			continue
		}
		if output.Datatype != "INT32" || i >= len(response.RawOutputContents) {
			return nil, fmt.Errorf("output %s is no INT32 with raw contents", name)
		}
		data := response.RawOutputContents[i]
		values := make([]int32, len(data)/4)
		err := binary.Read(bytes.NewReader(data), binary.LittleEndian, values)
		return values, err
	}
	return nil, fmt.Errorf("the response has no output %s", name)
}
