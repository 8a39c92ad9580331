"""Health, metadata, configuration and statistics."""

import sys

import tritonclient.http as httpclient

client = httpclient.InferenceServerClient(url=sys.argv[1], verbose=False)
print(client.is_server_live(), client.is_server_ready())
print(
    client.is_model_ready("simple"),
    client.is_model_ready(model_name="versioned", model_version="2"),
)
print(client.is_model_ready("versioned", "7"), client.is_model_ready("nope"))

print(client.get_server_metadata())
print(client.get_model_metadata("simple"))
print(client.get_model_metadata("versioned", "1", headers={"x-test": "1"}))
print(client.get_model_metadata("simple", query_params={"test_1": 1, "test_2": ["a b", "c"]}))

config = client.get_model_config("digits")
print(config["max_batch_size"], config["input"], config["output"], sorted(config))

statistics = client.get_inference_statistics(model_name="simple")
(entry,) = statistics["model_stats"]
print(sorted(statistics), sorted(entry), sorted(entry["inference_stats"]))
print(sorted(entry["name"] for entry in client.get_inference_statistics()["model_stats"]))

index = client.get_model_repository_index()
print(type(index), sorted((entry["name"], entry["version"], entry["state"]) for entry in index))
client.close()
